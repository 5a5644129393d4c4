//! The columns of a batch that functions in worker processes need, and how the others come back
//! to their rows.
//!
//! A column that nothing looks at stays in the engine. Where the function hands it on, the engine
//! puts it into the answer by itself, as the type that it would have after a way through Python;
//! where only Python can tell that type, the column is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, NullArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use raceline_plan::{BatchFormat, OnError, Passed, Projection, QueryFunction, UdfKind, UdfSpec};
use raceline_relational::ProjectOperator;
use raceline_types::{
    FLAGS_KEY, Failure, InternalError, TensorType, is_plain_value_schema, stand_in_field,
};
use raceline_worker::Crossing;

/// What a chain of functions gets of a batch, and what its answer means.
#[derive(Debug, PartialEq)]
pub(crate) struct LiveColumns {
    /// The columns that the functions look at; `None` is any.
    reads: Option<BTreeSet<String>>,
    answer: Answer,
}

#[derive(Debug, PartialEq)]
enum Answer {
    /// The output.
    Whole,
    /// One boolean column: the rows of the input that stay.
    Flags,
    /// A row for each of the input, with the columns that were sent as they are now and new ones.
    Beside(Sight),
    /// A row for each of the input; of these input columns (the second of each pair) the output
    /// columns (the first) are stand-ins. `None` is all that are not read.
    StandIns { named: Option<Vec<(String, String)>>, sight: Sight },
}

/// How functions see a column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sight {
    /// As Python values.
    Values,
    /// As a NumPy array.
    Arrays,
}

impl LiveColumns {
    /// What `functions`, which run one after the other in one worker, get of a batch; `None` when
    /// they get all and return all.
    pub(crate) fn of_chain(functions: &[Arc<UdfSpec>]) -> Option<Arc<dyn Crossing>> {
        let live = Self::find(functions);
        let is_plain = live == Self { reads: None, answer: Answer::Whole };
        (!is_plain).then(|| Arc::new(live) as Arc<dyn Crossing>)
    }

    fn find(functions: &[Arc<UdfSpec>]) -> Self {
        let all_read =
            || functions.iter().try_fold(BTreeSet::new(), |all, udf| Some(&all | udf.reads()?));
        if functions.iter().all(|udf| udf.kind == UdfKind::Filter) {
            return Self { reads: all_read(), answer: Answer::Flags };
        }
        let adds_to_rows =
            |udf: &Arc<UdfSpec>| udf.kind == UdfKind::Map && udf.columns.passes == Passed::Others;
        if functions.iter().all(adds_to_rows)
            && let Some(reads) = all_read()
        {
            return Self { reads: Some(reads), answer: Answer::Beside(Sight::Values) };
        }
        if let [only] = functions
            && let Some(reads) = only.reads()
            && let Some(answer) = stand_ins(only)
        {
            return Self { reads: Some(reads.clone()), answer };
        }
        let reads = functions.iter().rev().fold(None, |after, udf| read_before(udf, after));
        Self { reads, answer: Answer::Whole }
    }

    fn is_read(&self, name: &str) -> bool {
        self.reads.as_ref().is_none_or(|reads| reads.contains(name))
    }

    /// What becomes of the column at `position` of `input`.
    fn fate(&self, input: &RecordBatch, position: usize) -> Fate {
        let field = &input.schema_ref().fields()[position];
        if self.is_read(field.name()) {
            return Fate::Sent;
        }
        let (sight, is_passed, otherwise) = match &self.answer {
            Answer::Whole | Answer::Flags => return Fate::Kept,
            Answer::Beside(sight) => (*sight, true, Fate::Kept),
            Answer::StandIns { named: None, sight } => (*sight, true, Fate::StandIn),
            Answer::StandIns { named: Some(named), sight } => {
                let is_passed = named.iter().any(|(_, input)| input == field.name());
                (*sight, is_passed, if is_passed { Fate::StandIn } else { Fate::Kept })
            }
        };
        let only_python_tells =
            is_passed && handed_on(field, input.column(position), sight).is_none();
        if only_python_tells { Fate::Sent } else { otherwise }
    }

    /// The column of `input` that an answer's column `name` stands for.
    fn original<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match &self.answer {
            Answer::StandIns { named: Some(named), .. } => {
                named.iter().find(|(output, _)| output == name).map(|(_, input)| input.as_str())
            }
            _ => Some(name),
        }
    }

    /// The column at `position` of `input`, rows from `first` on, as the functions hand it on.
    fn column(
        input: &RecordBatch,
        position: usize,
        rows: (usize, usize),
        sight: Sight,
    ) -> Result<(Field, ArrayRef), Failure> {
        let (field, array) = (&input.schema_ref().fields()[position], input.column(position));
        let after = handed_on(field, array, sight).ok_or_else(|| misfit("a type"))?;
        has_rows(input, rows)?;
        let array = cast(&array.slice(rows.0, rows.1), after.data_type());
        Ok((after, array.map_err(|error| InternalError::caused_by("a column that stays", error))?))
    }

    /// The answer's columns in the places of the input's, and those that stayed.
    fn beside(
        &self,
        input: &RecordBatch,
        rows: (usize, usize),
        answer: &RecordBatch,
        sight: Sight,
    ) -> Result<RecordBatch, Failure> {
        let (schema, answered) = (input.schema(), answer.schema());
        let mut columns: Vec<(FieldRef, ArrayRef)> = Vec::new();
        for (position, field) in schema.fields().iter().enumerate() {
            if matches!(self.fate(input, position), Fate::Kept) {
                let (field, array) = Self::column(input, position, rows, sight)?;
                columns.push((Arc::new(field), array));
            } else if let Ok(at) = answered.index_of(field.name()) {
                columns.push((Arc::clone(&answered.fields()[at]), Arc::clone(answer.column(at))));
            }
        }
        for (field, array) in answered.fields().iter().zip(answer.columns()) {
            if schema.index_of(field.name()).is_err() {
                columns.push((Arc::clone(field), Arc::clone(array)));
            }
        }
        batch(columns, answer.num_rows(), answered.metadata().clone())
    }

    /// The answer with the columns that its stand-ins stand for.
    fn filled(
        &self,
        input: &RecordBatch,
        rows: (usize, usize),
        answer: &RecordBatch,
        sight: Sight,
    ) -> Result<RecordBatch, Failure> {
        let mut columns: Vec<(FieldRef, ArrayRef)> = Vec::new();
        for (field, array) in answer.schema_ref().fields().iter().zip(answer.columns()) {
            let original = self.original(field.name());
            let position = original.and_then(|name| input.schema_ref().index_of(name).ok());
            match position {
                Some(position) if matches!(self.fate(input, position), Fate::StandIn) => {
                    if *array.data_type() != DataType::Null {
                        return Err(misfit("a stand-in that was looked at").into());
                    }
                    let (after, array) = Self::column(input, position, rows, sight)?;
                    columns.push((Arc::new(after.with_name(field.name())), array));
                }
                _ => columns.push((Arc::clone(field), Arc::clone(array))),
            }
        }
        batch(columns, answer.num_rows(), answer.schema_ref().metadata().clone())
    }
}

enum Fate {
    /// It goes to the worker.
    Sent,
    /// A stand-in goes.
    StandIn,
    /// It stays.
    Kept,
}

impl Crossing for LiveColumns {
    fn sent(&self, input: &RecordBatch) -> Result<RecordBatch, Failure> {
        let schema = input.schema_ref();
        let sends_all = self.reads.is_none() || is_plain_value_schema(schema);
        if sends_all && self.answer != Answer::Flags {
            return Ok(input.clone());
        }
        let mut metadata = schema.metadata().clone();
        if self.answer == Answer::Flags {
            metadata.insert(FLAGS_KEY.to_owned(), "true".to_owned());
        }
        let mut columns: Vec<(FieldRef, ArrayRef)> = Vec::new();
        for (position, field) in schema.fields().iter().enumerate() {
            match self.fate(input, position) {
                _ if sends_all => {
                    columns.push((Arc::clone(field), Arc::clone(input.column(position))));
                }
                Fate::Sent => columns.push((Arc::clone(field), Arc::clone(input.column(position)))),
                Fate::StandIn => {
                    let nulls = Arc::new(NullArray::new(input.num_rows()));
                    columns.push((Arc::new(stand_in_field(field.name())), nulls));
                }
                Fate::Kept => {}
            }
        }
        batch(columns, input.num_rows(), metadata)
    }

    fn output(
        &self,
        input: &RecordBatch,
        answered: usize,
        answer: RecordBatch,
    ) -> Result<RecordBatch, Failure> {
        if self.answer == Answer::Whole {
            return Ok(answer);
        }
        let rows = answer.num_rows();
        if self.answer == Answer::Flags {
            has_rows(input, (answered, rows))?;
            return kept(&input.slice(answered, rows), &answer);
        }
        if is_plain_value_schema(input.schema_ref()) {
            return Ok(answer);
        }
        match &self.answer {
            Answer::Beside(sight) => self.beside(input, (answered, rows), &answer, *sight),
            Answer::StandIns { sight, .. } => self.filled(input, (answered, rows), &answer, *sight),
            Answer::Whole | Answer::Flags => Ok(answer),
        }
    }
}

/// How the answer of a function alone in its worker holds what the function hands on.
fn stand_ins(udf: &UdfSpec) -> Option<Answer> {
    let sight = match (udf.kind, udf.batch_format) {
        (UdfKind::Map, _) => Sight::Values,
        (UdfKind::MapBatches, BatchFormat::Numpy) => Sight::Arrays,
        _ => return None,
    };
    if udf.on_error != OnError::Raise {
        return None;
    }
    match &udf.columns.passes {
        Passed::Nothing => None,
        Passed::Others => Some(Answer::StandIns { named: None, sight }),
        Passed::Named(named) => Some(Answer::StandIns { named: Some(named.clone()), sight }),
    }
}

/// What decides the output of `udf`, of which the columns `after` are looked at.
fn read_before(udf: &Arc<UdfSpec>, after: Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let reads = udf.reads()?;
    match (udf.kind, &udf.columns.passes) {
        (UdfKind::Key, _) => None,
        (UdfKind::Filter, _) | (_, Passed::Others) => after.map(|after| &after | reads),
        (_, Passed::Nothing) => Some(reads.clone()),
        (_, Passed::Named(named)) => {
            Some(reads.iter().chain(named.iter().map(|(_, input)| input)).cloned().collect())
        }
    }
}

/// The field of a column that a function hands on; `None` when only Python can tell.
fn handed_on(field: &Field, array: &ArrayRef, sight: Sight) -> Option<Field> {
    let nulls = array.null_count();
    // Values that are all missing have no type.
    if nulls == array.len() {
        return None;
    }
    if field.extension_type_name().is_some() {
        let tensor = TensorType::of(field).ok()??;
        let TensorType::Fixed { value_type, shape } = &tensor else { return None };
        let is_exact = nulls == 0
            && value_type.is_numeric()
            && shape.iter().product::<usize>() > 0
            && tensor.storage_type().is_ok_and(|storage| storage == *array.data_type())
            && array.as_fixed_size_list().values().null_count() == 0;
        return tensor.field(field.name()).ok().filter(|_| is_exact);
    }
    let after = match (array.data_type(), sight) {
        (same @ (DataType::Boolean | DataType::Utf8 | DataType::Binary), _) => same.clone(),
        (
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32,
            Sight::Values,
        ) => DataType::Int64,
        (DataType::Float32 | DataType::Float64, Sight::Values) => DataType::Float64,
        (number, Sight::Arrays) if nulls == 0 && (number.is_integer() || number.is_floating()) => {
            number.clone()
        }
        _ => return None,
    };
    Some(Field::new(field.name(), after, true))
}

/// Whether `input` has these rows.
fn has_rows(input: &RecordBatch, (first, rows): (usize, usize)) -> Result<(), Failure> {
    if first + rows > input.num_rows() {
        return Err(misfit("more rows than were sent").into());
    }
    Ok(())
}

/// The rows of `input` whose flag in `answer` is true.
fn kept(input: &RecordBatch, answer: &RecordBatch) -> Result<RecordBatch, Failure> {
    let flags = match answer.columns() {
        [only] => only.as_any().downcast_ref::<BooleanArray>(),
        _ => None,
    };
    let flags = flags.ok_or_else(|| misfit("no flags"))?;
    if flags.true_count() == input.num_rows() {
        return Ok(input.clone());
    }
    let kept = filter_record_batch(input, flags);
    Ok(kept.map_err(|error| InternalError::caused_by("a filter", error))?)
}

fn batch(
    columns: Vec<(FieldRef, ArrayRef)>,
    rows: usize,
    metadata: std::collections::HashMap<String, String>,
) -> Result<RecordBatch, Failure> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema, arrays, &options);
    Ok(batch.map_err(|error| InternalError::caused_by("columns around a function", error))?)
}

fn misfit(what: &str) -> InternalError {
    InternalError::new(format!("the answer of a function's worker has {what}"))
}

/// Checks that input of `schema`, when it is known, has the columns that the user declared.
///
/// # Errors
/// When one does not exist.
pub(crate) fn check_declared(udf: &UdfSpec, schema: Option<&SchemaRef>) -> Result<(), Failure> {
    match (&udf.columns.reads, schema) {
        (Some(reads), Some(schema)) if udf.columns.declared => {
            let selection = Projection::Select(reads.iter().cloned().collect());
            ProjectOperator::new(selection).output_schema(schema).map(drop)
        }
        _ => Ok(()),
    }
}

/// What `udf` reads and passes, for people: nothing when it may be anything.
pub(crate) fn columns_text(udf: &UdfSpec) -> String {
    let Some(reads) = udf.reads() else { return String::new() };
    let names =
        |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let read: Vec<_> = reads.difference(&udf.columns.only_written).collect();
    // What a query calls it with is told by the query's plan.
    if read.iter().any(|name| QueryFunction::is_of_call(name)) {
        return String::new();
    }
    let reads = match read.len() {
        0 => "; reads no column".to_owned(),
        _ => format!("; reads {}", names(read)),
    };
    match &udf.columns.passes {
        _ if udf.kind == UdfKind::Filter => reads,
        Passed::Nothing => reads,
        Passed::Others => format!("{reads}; passes all others"),
        Passed::Named(pairs) => {
            format!("{reads}; passes {}", names(pairs.iter().map(|(_, input)| input).collect()))
        }
    }
}

#[cfg(test)]
mod tests;
