//! The compiler's typed values: an expression and what is known of the Python value it stands
//! for.

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{Case, Expr, cast, lit};

use super::decline::Decline;
use super::function::Operation;
use super::program::{BinaryOp, Constant};

/// Nodes that one expression may have, so that repeated use of a local variable cannot blow up.
const SIZE_MAX: usize = 400;

/// The Python type of a value, or the element type of a NumPy array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Always `None`.
    Null,
    /// `bool`.
    Bool,
    /// `int`, as 64 bits.
    Int,
    /// `float`.
    Float,
    /// `str`.
    Str,
    /// `datetime.date`.
    Date,
    /// `datetime.datetime` without a time zone.
    DateTime,
    /// `list` of `str`.
    Strings,
    /// A number of another type in an array, which can be cast and handed on.
    Narrow,
    /// A column that can only be handed on.
    Opaque,
}

impl Kind {
    /// The Arrow type that holds it.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Null | Self::Narrow | Self::Opaque => DataType::Null,
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Str => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Strings => DataType::new_list(DataType::Utf8, true),
        }
    }

    /// What Python calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "None",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Str => "str",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Strings => "list",
            Self::Narrow | Self::Opaque => "another type",
        }
    }
}

/// An expression with the Python type of its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) expr: Expr,
    pub(super) kind: Kind,
    /// Whether it is a NumPy array (one element a row) and not a Python scalar.
    pub(super) array: bool,
    /// Whether a row of it can be `None`.
    pub(super) nullable: bool,
    /// The value, when the program holds it.
    pub(super) constant: Option<Constant>,
    /// Which rows of the batch an array consists of; all of them when there is none.
    pub(super) mask: Option<Box<Expr>>,
    /// Nodes of `expr`.
    size: usize,
}

impl Term {
    /// A column as its Python values.
    pub(super) fn column(expr: Expr, kind: Kind, array: bool) -> Self {
        Self { expr, kind, array, nullable: !array, constant: None, mask: None, size: 1 }
    }

    /// A constant that is no tuple or set, which have no expression: they are `None` here.
    pub(super) fn scalar(constant: &Constant) -> Self {
        let (expr, kind) = match constant {
            Constant::None | Constant::Tuple(_) | Constant::Set(_) => {
                (lit(ScalarValue::Null), Kind::Null)
            }
            Constant::Bool(value) => (lit(*value), Kind::Bool),
            Constant::Int(value) => (lit(*value), Kind::Int),
            Constant::Float(value) => (lit(*value), Kind::Float),
            Constant::Str(value) => (lit(value.as_str()), Kind::Str),
        };
        Self {
            expr,
            kind,
            array: false,
            nullable: kind == Kind::Null,
            constant: Some(constant.clone()),
            mask: None,
            size: 1,
        }
    }

    /// A constant truth.
    pub(super) fn truth(value: bool) -> Self {
        Self {
            expr: lit(value),
            kind: Kind::Bool,
            array: false,
            nullable: false,
            constant: Some(Constant::Bool(value)),
            mask: None,
            size: 1,
        }
    }

    /// The result of an operation on `operands`; never null.
    ///
    /// # Errors
    /// When the expression grows out of bounds, or arrays of different rows are combined.
    pub(super) fn computed(expr: Expr, kind: Kind, operands: &[&Self]) -> Result<Self, Decline> {
        let size = 1 + operands.iter().map(|term| term.size).sum::<usize>();
        if size > SIZE_MAX {
            return Err(too_large());
        }
        let mut arrays = operands.iter().filter(|term| term.array);
        let first = arrays.next();
        let mask = first.and_then(|term| term.mask.clone());
        if arrays.any(|term| term.mask != mask) {
            return Err(Decline::new("it combines arrays of different rows"));
        }
        let array = first.is_some();
        Ok(Self { expr, kind, array, nullable: false, constant: None, mask, size })
    }

    /// The same, once `operations` have been evaluated.
    ///
    /// # Errors
    /// As [`Self::computed`].
    pub(super) fn after(&self, operations: Vec<Expr>) -> Result<Self, Decline> {
        let mut size = 0;
        for operation in &operations {
            let counted = operation.apply(|_| {
                size += 1;
                Ok(TreeNodeRecursion::Continue)
            });
            counted.map_err(|error| Decline::new(error.to_string()))?;
        }
        let expr = Operation::After.call([vec![self.expr.clone()], operations].concat());
        let mut after = Self { expr, constant: None, ..self.clone() };
        after.size += size;
        if after.size > SIZE_MAX { Err(too_large()) } else { Ok(after) }
    }

    /// The rows of this array that `index`, an array of truths, selects.
    ///
    /// # Errors
    /// As [`Self::computed`].
    pub(super) fn selected(&self, index: &Self) -> Result<Self, Decline> {
        let mut selected = Self::computed(self.expr.clone(), self.kind, &[self, index])?;
        selected.mask = Some(Box::new(match &self.mask {
            None => index.expr.clone(),
            Some(mask) => Operation::Logic(BinaryOp::And)
                .call(vec![mask.as_ref().clone(), index.expr.clone()]),
        }));
        Ok(selected)
    }

    /// This value as another kind, by a conversion that cannot fail: bool to int, bool or int to
    /// float (rounded to even, as Python and NumPy do).
    pub(super) fn cast_to(&self, kind: Kind) -> Expr {
        if self.kind == kind {
            self.expr.clone()
        } else {
            cast(self.expr.clone(), kind.data_type())
        }
    }

    /// The expressions that it consists of.
    pub(super) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        std::iter::once(&self.expr).chain(self.mask.as_deref())
    }

    /// Whether the value is a Python `bool` or `int`.
    pub(super) fn is_integral(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::Int)
    }

    /// `None` as a null of another kind; any other value as it is.
    pub(super) fn as_kind(&self, kind: Kind) -> Self {
        let mut typed = self.clone();
        if self.kind == Kind::Null && kind != Kind::Null {
            // What is no literal evaluates a condition, which has to stay.
            typed.expr = match (&self.constant, ScalarValue::try_from(kind.data_type())) {
                (Some(_), Ok(null)) => lit(null),
                _ => cast(self.expr.clone(), kind.data_type()),
            };
            typed.kind = kind;
        }
        typed
    }

    /// The value that is `then` where `condition` holds and `otherwise` elsewhere.
    ///
    /// # Errors
    /// When the two have different types: what the column becomes would then depend on the rows.
    pub(super) fn choose(condition: &Self, then: &Self, otherwise: &Self) -> Result<Self, Decline> {
        let kind = match (then.kind, otherwise.kind) {
            (left, right) if left == right => left,
            (Kind::Null, other) | (other, Kind::Null) => other,
            (left, right) => {
                return Err(Decline::new(format!(
                    "its result is {} for some rows and {} for others",
                    left.name(),
                    right.name()
                )));
            }
        };
        let expr = Expr::Case(Case {
            expr: None,
            when_then_expr: vec![(
                Box::new(condition.expr.clone()),
                Box::new(then.as_kind(kind).expr),
            )],
            else_expr: Some(Box::new(otherwise.as_kind(kind).expr)),
        });
        let mut chosen = Self::computed(expr, kind, &[condition, then, otherwise])?;
        chosen.nullable = then.nullable || otherwise.nullable;
        Ok(chosen)
    }
}

fn too_large() -> Decline {
    Decline::new("its expression is too large")
}

/// What a Python row function sees of a column: the kind of its values, when each value converts
/// exactly and converts back to one type.
pub(super) fn row_kind(field: &Field) -> Option<Kind> {
    if field.extension_type_name().is_some() {
        return None;
    }
    match field.data_type() {
        DataType::Boolean => Some(Kind::Bool),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => Some(Kind::Int),
        DataType::Float32 | DataType::Float64 => Some(Kind::Float),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Kind::Str),
        DataType::Date32 => Some(Kind::Date),
        // Nanoseconds may be more than a datetime can hold.
        DataType::Timestamp(TimeUnit::Nanosecond, _) => None,
        DataType::Timestamp(_, None) => Some(Kind::DateTime),
        _ => None,
    }
}

/// What a NumPy batch function sees of a column: the element type of its array when it has no
/// nulls, [`Kind::Narrow`] for other numbers and [`Kind::Opaque`] for strings, which come back as
/// they went.
pub(super) fn array_kind(field: &Field) -> Option<Kind> {
    if field.extension_type_name().is_some() {
        return None;
    }
    match field.data_type() {
        DataType::Boolean => Some(Kind::Bool),
        DataType::Int64 => Some(Kind::Int),
        DataType::Float64 => Some(Kind::Float),
        data_type if data_type.is_primitive() && data_type.is_numeric() => {
            let plain = data_type.is_integer() || *data_type == DataType::Float32;
            let kind = if *data_type == DataType::UInt64 { Kind::Opaque } else { Kind::Narrow };
            plain.then_some(kind)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Kind::Opaque),
        _ => None,
    }
}
