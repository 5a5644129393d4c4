//! Extension types: tensors, object columns and plain values.
//!
//! Tensors are the canonical Arrow extension types `arrow.fixed_shape_tensor` and
//! `arrow.variable_shape_tensor`
//! (<https://arrow.apache.org/docs/format/CanonicalExtensions.html>).

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::extension::{
    EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY, ExtensionType, FixedShapeTensor,
    VariableShapeTensor,
};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};

/// Extension name of a column of pickled Python objects (storage: binary). Such a column lives
/// only inside one run: sinks refuse it, and data read from files is never unpickled.
pub const OBJECT_EXTENSION_NAME: &str = "raceline.object";

/// Field metadata key that marks the one column of a dataset of plain values.
pub const PLAIN_VALUE_KEY: &str = "raceline:plain_value";

/// Field metadata key of a column that stands for another one.
const STAND_IN_KEY: &str = "raceline:stand_in";

/// Schema metadata key of a batch of which filters are to say which rows stay.
pub const FLAGS_KEY: &str = "raceline:flags";

/// Name of the one column of a dataset of plain values.
pub const PLAIN_VALUE_COLUMN: &str = "item";

/// The tensor type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorType {
    /// All rows have one shape; storage is a fixed-size list of the product of `shape`.
    Fixed {
        /// Type of the elements.
        value_type: DataType,
        /// Shape of a row, slowest dimension first (C order).
        shape: Vec<usize>,
    },
    /// Rows of different shapes; storage is a struct of `data: list<value>` and
    /// `shape: fixed_size_list<int32>[dimensions]`.
    Variable {
        /// Type of the elements.
        value_type: DataType,
        /// Number of dimensions of every row.
        dimensions: usize,
    },
}

impl TensorType {
    /// The tensor type of `field`, or `None` when it is not a tensor column.
    ///
    /// Element fields may be nullable or not, as writers differ; the metadata's dimension names
    /// are not looked at.
    ///
    /// # Errors
    /// When the field names a tensor extension type but its storage or metadata do not fit it, or
    /// its dimensions are permuted.
    pub fn of(field: &Field) -> Result<Option<Self>, ArrowError> {
        match (field.extension_type_name(), field.data_type()) {
            (Some(FixedShapeTensor::NAME), DataType::FixedSizeList(item, size)) => {
                let shape = fixed_shape(field)?;
                if elements(&shape) != Some(*size) {
                    return Err(misfit(field));
                }
                Ok(Some(Self::Fixed { value_type: item.data_type().clone(), shape }))
            }
            (Some(VariableShapeTensor::NAME), DataType::Struct(parts)) => {
                match parts.iter().map(|part| part.data_type()).collect::<Vec<_>>().as_slice() {
                    [DataType::List(item), DataType::FixedSizeList(_, dimensions)] => {
                        check_order(field, metadata(field)?.permutation)?;
                        Ok(Some(Self::Variable {
                            value_type: item.data_type().clone(),
                            dimensions: usize::try_from(*dimensions).map_err(|_| misfit(field))?,
                        }))
                    }
                    _ => Err(misfit(field)),
                }
            }
            (Some(FixedShapeTensor::NAME | VariableShapeTensor::NAME), _) => Err(misfit(field)),
            _ => Ok(None),
        }
    }

    /// Storage type of a column of this tensor type.
    ///
    /// # Errors
    /// When a row has more elements than an Arrow fixed-size list can hold (2³¹ - 1).
    pub fn storage_type(&self) -> Result<DataType, ArrowError> {
        match self {
            Self::Fixed { value_type, shape } => {
                let size = elements(shape).ok_or_else(|| {
                    ArrowError::InvalidArgumentError(format!(
                        "a tensor of shape {shape:?} is larger than 2^31 - 1 elements"
                    ))
                })?;
                let item = Field::new_list_field(value_type.clone(), true);
                Ok(DataType::FixedSizeList(item.into(), size))
            }
            Self::Variable { value_type, dimensions } => {
                let item = Field::new_list_field(value_type.clone(), true);
                let size = i32::try_from(*dimensions).map_err(|_| {
                    ArrowError::InvalidArgumentError(format!("{dimensions} dimensions"))
                })?;
                let shape_item = Field::new_list_field(DataType::Int32, false);
                Ok(DataType::Struct(Fields::from(vec![
                    Field::new("data", DataType::List(item.into()), false),
                    Field::new("shape", DataType::FixedSizeList(shape_item.into(), size), false),
                ])))
            }
        }
    }

    /// A nullable field `name` of this tensor type.
    ///
    /// # Errors
    /// As [`TensorType::storage_type`].
    pub fn field(&self, name: &str) -> Result<Field, ArrowError> {
        let (extension, metadata) = match self {
            Self::Fixed { value_type: _, shape } => {
                (FixedShapeTensor::NAME, format!("{{\"shape\":{shape:?}}}"))
            }
            Self::Variable { .. } => (VariableShapeTensor::NAME, "{}".to_owned()),
        };
        Ok(Field::new(name, self.storage_type()?, true).with_metadata(HashMap::from([
            (EXTENSION_TYPE_NAME_KEY.to_owned(), extension.to_owned()),
            (EXTENSION_TYPE_METADATA_KEY.to_owned(), metadata),
        ])))
    }
}

fn misfit(field: &Field) -> ArrowError {
    ArrowError::SchemaError(format!(
        "tensor column `{}`: metadata does not fit its storage `{}`",
        field.name(),
        field.data_type()
    ))
}

/// Elements of a tensor of `shape`, when a fixed-size list can hold them.
fn elements(shape: &[usize]) -> Option<i32> {
    let elements = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size))?;
    i32::try_from(elements).ok()
}

/// The metadata of a tensor field, as far as it is looked at.
#[derive(Default, serde::Deserialize)]
struct TensorMetadata {
    shape: Option<Vec<usize>>,
    permutation: Option<Vec<usize>>,
}

fn metadata(field: &Field) -> Result<TensorMetadata, ArrowError> {
    let text = field.extension_type_metadata().unwrap_or_default();
    if text.is_empty() {
        return Ok(TensorMetadata::default());
    }
    serde_json::from_str(text).map_err(|error| {
        ArrowError::SchemaError(format!("tensor column `{}`: metadata: {error}", field.name()))
    })
}

/// The shape in the metadata of a fixed-shape tensor field.
fn fixed_shape(field: &Field) -> Result<Vec<usize>, ArrowError> {
    let TensorMetadata { shape, permutation } = metadata(field)?;
    check_order(field, permutation)?;
    shape.ok_or_else(|| misfit(field))
}

/// Refuses a tensor whose dimensions stand in another order than its elements.
fn check_order(field: &Field, permutation: Option<Vec<usize>>) -> Result<(), ArrowError> {
    match permutation {
        Some(permutation) if !permutation.iter().copied().eq(0..permutation.len()) => {
            Err(ArrowError::NotYetImplemented(format!(
                "tensor column `{}`: its dimensions are permuted ({permutation:?}); write its \
                 elements in the order of the dimensions",
                field.name()
            )))
        }
        _ => Ok(()),
    }
}

/// A nullable binary field of pickled Python objects.
#[must_use]
pub fn object_field(name: &str) -> Field {
    Field::new(name, DataType::LargeBinary, true).with_metadata(HashMap::from([(
        EXTENSION_TYPE_NAME_KEY.to_owned(),
        OBJECT_EXTENSION_NAME.to_owned(),
    )]))
}

/// Whether `field` holds pickled Python objects.
#[must_use]
pub fn is_object_field(field: &Field) -> bool {
    field.extension_type_name() == Some(OBJECT_EXTENSION_NAME)
}

/// Whether `field` holds pickled Python objects at any depth.
#[must_use]
pub fn holds_objects(field: &Field) -> bool {
    without_objects(field) != *field
}

/// The type of the column `field`, for people.
#[must_use]
pub fn column_type_name(field: &Field) -> String {
    if is_object_field(field) {
        return "Python object".to_owned();
    }
    match TensorType::of(field) {
        Ok(Some(TensorType::Fixed { value_type, shape })) => {
            format!("tensor of {value_type} {shape:?}")
        }
        Ok(Some(TensorType::Variable { value_type, dimensions })) => {
            format!("tensor of {value_type}, {dimensions} dimensions")
        }
        Ok(None) | Err(_) => field.data_type().to_string(),
    }
}

/// `field` with no object column in it, at any depth: what was marked as pickled objects is plain
/// binary. Data from outside the run goes through this, so that it is never unpickled.
#[must_use]
pub fn without_objects(field: &Field) -> Field {
    let inside = |item: &Arc<Field>| Arc::new(without_objects(item));
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(inside(item)),
        DataType::LargeList(item) => DataType::LargeList(inside(item)),
        DataType::ListView(item) => DataType::ListView(inside(item)),
        DataType::LargeListView(item) => DataType::LargeListView(inside(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inside(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inside(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inside).collect()),
        other => other.clone(),
    };
    let mut metadata = field.metadata().clone();
    if is_object_field(field) {
        metadata.remove(EXTENSION_TYPE_NAME_KEY);
    }
    field.clone().with_data_type(data_type).with_metadata(metadata)
}

/// Marks `field` as the one column of a dataset of plain values, and names it so.
#[must_use]
pub fn plain_value_field(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(PLAIN_VALUE_KEY.to_owned(), "true".to_owned());
    field.clone().with_name(PLAIN_VALUE_COLUMN).with_metadata(metadata)
}

/// A field `name` of nulls that stands for a column which a function hands on and does not look
/// at, so that the column need not cross to the function's worker.
#[must_use]
pub fn stand_in_field(name: &str) -> Field {
    let metadata = HashMap::from([(STAND_IN_KEY.to_owned(), "true".to_owned())]);
    Field::new(name, DataType::Null, true).with_metadata(metadata)
}

/// Whether `field` was made by [`stand_in_field`].
#[must_use]
pub fn is_stand_in_field(field: &Field) -> bool {
    field.metadata().contains_key(STAND_IN_KEY)
}

/// Whether a dataset of this schema holds plain values: its rows are the values themselves and
/// not dicts.
#[must_use]
pub fn is_plain_value_schema(schema: &Schema) -> bool {
    matches!(schema.fields().as_ref(), [only] if only.metadata().contains_key(PLAIN_VALUE_KEY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_round_trip(tensor: &TensorType) {
        let field = tensor.field("image").unwrap();
        assert_eq!(TensorType::of(&field).unwrap().as_ref(), Some(tensor));
    }

    #[test]
    fn tensor_fields_round_trip() {
        check_round_trip(&TensorType::Fixed { value_type: DataType::UInt8, shape: vec![2, 3, 4] });
        check_round_trip(&TensorType::Variable { value_type: DataType::Float32, dimensions: 3 });
    }

    fn fixed(size: i32, metadata: &str) -> Field {
        let item = Field::new_list_field(DataType::UInt8, true);
        let list = DataType::FixedSizeList(item.into(), size);
        Field::new("image", list, true).with_metadata(HashMap::from([
            (EXTENSION_TYPE_NAME_KEY.to_owned(), FixedShapeTensor::NAME.to_owned()),
            (EXTENSION_TYPE_METADATA_KEY.to_owned(), metadata.to_owned()),
        ]))
    }

    #[test]
    fn a_shape_that_overflows_is_an_error() {
        let huge = fixed(0, r#"{"shape":[4294967296,4294967296]}"#);
        let message = TensorType::of(&huge).unwrap_err().to_string();
        assert!(message.contains("tensor column `image`: metadata does not fit"), "{message}");
        let huge = TensorType::Fixed { value_type: DataType::UInt8, shape: vec![1 << 32, 1 << 32] };
        assert!(huge.storage_type().unwrap_err().to_string().contains("2^31 - 1"));
    }

    #[test]
    fn permuted_dimensions_are_refused() {
        let permuted = fixed(6, r#"{"shape":[2,3],"permutation":[1,0]}"#);
        let message = TensorType::of(&permuted).unwrap_err().to_string();
        assert!(message.contains("`image`: its dimensions are permuted ([1, 0])"), "{message}");
        let straight = fixed(6, r#"{"shape":[2,3],"permutation":[0,1]}"#);
        assert!(matches!(TensorType::of(&straight), Ok(Some(TensorType::Fixed { .. }))));
    }

    #[test]
    fn objects_are_unmarked_at_any_depth() {
        let list = Field::new("list", DataType::List(object_field("item").into()), true);
        let nested = Field::new("x", DataType::Struct(Fields::from(vec![list])), true);
        let DataType::Struct(fields) = without_objects(&nested).data_type().clone() else {
            panic!("no struct")
        };
        let DataType::List(item) = fields[0].data_type() else { panic!("no list") };
        assert!(!is_object_field(item));
        assert!(!is_object_field(&without_objects(&object_field("x"))));
    }

    #[test]
    fn a_plain_field_is_no_tensor() {
        assert_eq!(TensorType::of(&Field::new("x", DataType::Int64, true)).unwrap(), None);
    }

    #[test]
    fn plain_values_are_marked_on_the_only_column() {
        let field = plain_value_field(&Field::new("x", DataType::Int64, true));
        assert_eq!(field.name(), PLAIN_VALUE_COLUMN);
        assert!(is_plain_value_schema(&Schema::new(vec![field.clone()])));
        assert!(!is_plain_value_schema(&Schema::new(vec![field.clone(), field])));
    }
}
