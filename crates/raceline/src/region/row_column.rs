//! A column of values that rows have by their places in the whole input.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_plan::RowValues;
use raceline_types::{Batch, Failure, InternalError, Random, RandomStream};
use uuid::Uuid;

/// Counts the rows of its input, in order, and puts a column behind the others, or in place of the
/// one of its name.
#[derive(Debug)]
pub(crate) struct RowColumnRegion {
    name: Arc<str>,
    values: RowValues,
    random: Random,
}

impl RowColumnRegion {
    /// The column `name`; random numbers are those of `seed`.
    pub(crate) fn new(name: &str, values: RowValues, seed: u64) -> Self {
        Self { name: name.into(), values, random: Random::new(seed) }
    }

    /// The schema of the output for an input of `schema`.
    pub(crate) fn output_schema(schema: &Schema, name: &str, values: RowValues) -> SchemaRef {
        let data_type = match values {
            RowValues::Ordinals => DataType::Int64,
            RowValues::Random { .. } => DataType::Float64,
            RowValues::Uuids => DataType::Utf8,
        };
        let field = Arc::new(Field::new(name, data_type, true));
        let mut fields = schema.fields().to_vec();
        match schema.index_of(name) {
            Ok(position) => fields[position] = field,
            Err(_) => fields.push(field),
        }
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }

    /// The values of `rows` rows from the one at `first`.
    fn column(&self, first: u64, rows: u64) -> ArrayRef {
        let places = first..first + rows;
        match self.values {
            RowValues::Ordinals => {
                let ordinal = |place| i64::try_from(place).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from_iter_values(places.map(ordinal)))
            }
            RowValues::Random { .. } => {
                Arc::new(Float64Array::from_iter_values(places.map(|place| self.number(place))))
            }
            RowValues::Uuids => {
                Arc::new(StringArray::from_iter_values(places.map(|_| Uuid::new_v4().to_string())))
            }
        }
    }

    /// A number of [0, 1) with 53 random bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn number(&self, place: u64) -> f64 {
        let [low, high, ..] = self.random.block(RandomStream::RowValues, place);
        let bits = ((u64::from(high) << 32) | u64::from(low)) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    fn apply(&self, batch: &RecordBatch, first: u64) -> Result<RecordBatch, Failure> {
        let schema = Self::output_schema(batch.schema_ref(), &self.name, self.values);
        let column = self.column(first, batch.num_rows() as u64);
        let mut columns = batch.columns().to_vec();
        match batch.schema_ref().index_of(&self.name) {
            Ok(position) => columns[position] = column,
            Err(_) => columns.push(column),
        }
        RecordBatch::try_new(schema, columns)
            .map_err(|error| InternalError::caused_by("a column of rows", error).into())
    }
}

#[async_trait]
impl Region for RowColumnRegion {
    fn name(&self) -> Arc<str> {
        format!("RowColumn({} = {})", self.name, self.values).into()
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut first = 0;
        for mut port in ports {
            while let Some(batch) = port.next().await {
                let Batch { data, origin } = batch?;
                let made = self.apply(&data, first)?;
                first += data.num_rows() as u64;
                drop(data);
                out.emit(Batch::new(made, origin)).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Float64Type;

    use super::*;

    #[test]
    fn random_numbers_depend_on_the_place_and_the_seed_alone() {
        let values = RowValues::Random { seed: Some(7), reseeds: false };
        let of = |seed, first, rows| {
            let column = RowColumnRegion::new("r", values, seed).column(first, rows);
            column.as_primitive::<Float64Type>().values().to_vec()
        };
        let all = of(7, 0, 1_000);
        assert_eq!([of(7, 0, 400), of(7, 400, 600)].concat(), all);
        assert_ne!(of(8, 0, 1_000), all);
        assert!(all.iter().all(|one| (0.0..1.0).contains(one)));
        let mean = all.iter().sum::<f64>() / 1_000.0;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
    }

    #[test]
    fn a_column_goes_last_or_where_its_name_is() {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Int8, true),
            Field::new("b", DataType::Int8, true),
        ]);
        let names = |name| {
            let schema = RowColumnRegion::output_schema(&schema, name, RowValues::Uuids);
            schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        };
        assert_eq!(names("c"), ["a", "b", "c"]);
        assert_eq!(names("a"), ["a", "b"]);
    }
}
