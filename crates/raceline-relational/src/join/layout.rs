//! What a join asks of `DataFusion`, and how its output comes from the answers.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, is_not_null, kernels::zip::zip};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::JoinType;
use raceline_plan::{JoinKind, JoinSpec};
use raceline_types::{Failure, InternalError};

use super::key::KeyType;
use super::pair::Side;
use crate::error::{RelationalError, check_comparable};

/// The plan of a join over two schemas.
#[derive(Debug)]
pub(super) struct Layout {
    /// The left input as it is joined.
    pub(super) left: Table,
    /// The right input as it is joined.
    pub(super) right: Table,
    /// The join with the left input to the left.
    pub(super) join_type: JoinType,
    /// Columns of the tables that the output is made of.
    pub(super) wanted: Vec<(Side, usize)>,
    /// Schema of the output.
    pub(super) output: SchemaRef,
    /// Where the output's columns come from.
    columns: Vec<Column>,
}

/// An input as it is joined: its columns as `c0`, `c1`, …, and behind them as `k0`, `k1`, … the
/// keys that are not the columns themselves.
#[derive(Debug)]
pub(super) struct Table {
    /// Names and types.
    pub(super) schema: SchemaRef,
    /// Positions of the keys.
    pub(super) keys: Vec<usize>,
    /// The columns of the keys behind the columns, and what they are compared as.
    computed: Vec<(usize, KeyType)>,
}

/// Where a column of the output comes from: positions in [`Layout::wanted`].
#[derive(Debug)]
enum Column {
    /// A column of one side.
    One(usize),
    /// That of the left side where it is there, else that of the right.
    Either(usize, usize),
}

impl Layout {
    /// # Errors
    /// [`RelationalError::ColumnNotFound`], [`RelationalError::JoinKeys`],
    /// [`RelationalError::Objects`] or [`RelationalError::JoinColumn`].
    pub(super) fn new(
        left: &SchemaRef,
        right: &SchemaRef,
        spec: &JoinSpec,
    ) -> Result<Self, RelationalError> {
        let mut keys = Vec::with_capacity(spec.keys.len());
        for (left_name, right_name) in &spec.keys {
            keys.push(Key::new(left, left_name, right, right_name)?);
        }
        let left_table = Table::new(left, keys.iter().map(|key| (key.left, &key.compared)));
        let right_table = Table::new(right, keys.iter().map(|key| (key.right, &key.compared)));
        let mut made = Output::default();
        match spec.kind {
            JoinKind::LeftSemi | JoinKind::LeftAnti => made.all_of(Side::Left, left),
            JoinKind::RightSemi | JoinKind::RightAnti => made.all_of(Side::Right, right),
            JoinKind::Inner | JoinKind::LeftOuter | JoinKind::RightOuter | JoinKind::FullOuter => {
                made.both(left, right, spec, &keys)?;
            }
        }
        Ok(Self {
            left: left_table,
            right: right_table,
            join_type: join_type(spec.kind),
            wanted: made.wanted,
            output: Arc::new(Schema::new(made.fields)),
            columns: made.columns,
        })
    }

    /// The input of a side.
    pub(super) fn table(&self, side: Side) -> &Table {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// Positions of the wanted columns in the output of the join with `first` to the left.
    pub(super) fn projection(&self, first: Side) -> Vec<usize> {
        let width = self.table(first).schema.fields().len();
        let has_both = self.join_type.is_outer() || self.join_type == JoinType::Inner;
        self.wanted
            .iter()
            .map(|&(side, at)| if side == first || !has_both { at } else { width + at })
            .collect()
    }

    /// The output of joined rows of the wanted columns.
    pub(super) fn finish(&self, joined: &RecordBatch) -> Result<RecordBatch, Failure> {
        let columns = self.columns.iter().zip(self.output.fields()).map(|(column, field)| {
            let typed = |at: usize| cast(joined.column(at), field.data_type());
            match *column {
                Column::One(at) => typed(at),
                Column::Either(left, right) => either(&typed(left)?, &typed(right)?),
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(joined.num_rows()));
        columns
            .collect::<Result<Vec<_>, _>>()
            .and_then(|columns| {
                RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)
            })
            .map_err(|error| InternalError::caused_by("joined columns do not fit", error).into())
    }
}

impl Table {
    fn new<'a>(schema: &Schema, keys: impl Iterator<Item = (usize, &'a KeyType)>) -> Self {
        let named = |prefix: char, at: usize, data_type: &DataType| {
            Field::new(format!("{prefix}{at}"), data_type.clone(), true)
        };
        let fields = schema.fields().iter().enumerate();
        let mut fields: Vec<Field> =
            fields.map(|(at, field)| named('c', at, field.data_type())).collect();
        let (mut positions, mut computed) = (Vec::new(), Vec::new());
        for (at, compared) in keys {
            if compared.is_type_of(schema.field(at).data_type()) {
                positions.push(at);
            } else {
                positions.push(fields.len());
                fields.push(named('k', computed.len(), compared.data_type()));
                computed.push((at, compared.clone()));
            }
        }
        Self { schema: Arc::new(Schema::new(fields)), keys: positions, computed }
    }

    /// A batch of the input as it is joined.
    pub(super) fn prepare(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        for (at, compared) in &self.computed {
            columns.push(compared.keys(batch.column(*at))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| InternalError::caused_by("an input does not fit", error).into())
    }
}

/// A pair of key columns.
struct Key {
    left: usize,
    right: usize,
    compared: KeyType,
}

impl Key {
    fn new(
        left: &Schema,
        left_name: &str,
        right: &Schema,
        right_name: &str,
    ) -> Result<Self, RelationalError> {
        let position = |schema: &Schema, name: &str| {
            let at = schema.index_of(name);
            let at = at.map_err(|_| RelationalError::column_not_found(name, schema))?;
            check_comparable(schema.field(at), "join on")?;
            Ok(at)
        };
        let (left_at, right_at) = (position(left, left_name)?, position(right, right_name)?);
        let types = [left.field(left_at), right.field(right_at)].map(Field::data_type);
        let compared =
            KeyType::of(types[0], types[1]).ok_or_else(|| RelationalError::JoinKeys {
                left: left_name.to_owned(),
                left_type: types[0].clone(),
                right: right_name.to_owned(),
                right_type: types[1].clone(),
            })?;
        Ok(Self { left: left_at, right: right_at, compared })
    }
}

/// The columns of the output, as they are found.
#[derive(Default)]
struct Output {
    wanted: Vec<(Side, usize)>,
    fields: Vec<FieldRef>,
    columns: Vec<Column>,
}

impl Output {
    fn all_of(&mut self, side: Side, schema: &Schema) {
        for (at, field) in schema.fields().iter().enumerate() {
            self.push(side, at, field.as_ref().clone());
        }
    }

    fn both(
        &mut self,
        left: &Schema,
        right: &Schema,
        spec: &JoinSpec,
        keys: &[Key],
    ) -> Result<(), RelationalError> {
        let is_right_key = |at: usize| keys.iter().any(|key| key.right == at);
        let right_names: HashSet<&str> = right
            .fields()
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_right_key(*at))
            .map(|(_, field)| field.name().as_str())
            .collect();
        let left_names: HashSet<&str> =
            left.fields().iter().map(|field| field.name().as_str()).collect();
        for (at, field) in left.fields().iter().enumerate() {
            let field = field.as_ref().clone();
            if let Some(key) = keys.iter().find(|key| key.left == at) {
                self.push_key(spec.kind, key, field, right.field(key.right));
            } else {
                let is_twice = right_names.contains(field.name().as_str());
                self.push(Side::Left, at, suffixed(field, is_twice, spec.left_suffix.as_ref()));
            }
        }
        for (at, field) in right.fields().iter().enumerate() {
            if !is_right_key(at) {
                let is_twice = left_names.contains(field.name().as_str());
                let field = field.as_ref().clone();
                self.push(Side::Right, at, suffixed(field, is_twice, spec.right_suffix.as_ref()));
            }
        }
        let mut names = HashSet::new();
        match self.fields.iter().find(|field| !names.insert(field.name().as_str())) {
            Some(field) => Err(RelationalError::JoinColumn { name: field.name().clone() }),
            None => Ok(()),
        }
    }

    /// The column of a pair of keys, named as that of the left side.
    fn push_key(&mut self, kind: JoinKind, key: &Key, left: Field, right: &Field) {
        match kind {
            JoinKind::RightOuter => {
                let field = right.clone().with_name(left.name());
                self.push(Side::Right, key.right, field);
            }
            JoinKind::FullOuter => {
                let is_same = left.data_type() == right.data_type();
                let compared = if is_same { left.data_type() } else { &key.compared.unified };
                let field = left.clone().with_data_type(compared.clone());
                let (left, right) =
                    (self.want(Side::Left, key.left), self.want(Side::Right, key.right));
                self.fields.push(Arc::new(field.with_nullable(true)));
                self.columns.push(Column::Either(left, right));
            }
            _ => self.push(Side::Left, key.left, left),
        }
    }

    fn push(&mut self, side: Side, at: usize, field: Field) {
        let at = self.want(side, at);
        self.fields.push(Arc::new(field.with_nullable(true)));
        self.columns.push(Column::One(at));
    }

    fn want(&mut self, side: Side, at: usize) -> usize {
        let known = self.wanted.iter().position(|&one| one == (side, at));
        known.unwrap_or_else(|| {
            self.wanted.push((side, at));
            self.wanted.len() - 1
        })
    }
}

fn suffixed(field: Field, is_twice: bool, suffix: Option<&String>) -> Field {
    match suffix {
        Some(suffix) if is_twice => {
            let name = format!("{}{suffix}", field.name());
            field.with_name(name)
        }
        _ => field,
    }
}

/// `left` where it is there, else `right`.
fn either(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if left.null_count() == 0 {
        return Ok(Arc::clone(left));
    }
    zip(&is_not_null(left)?, left, right)
}

fn join_type(kind: JoinKind) -> JoinType {
    match kind {
        JoinKind::Inner => JoinType::Inner,
        JoinKind::LeftOuter => JoinType::Left,
        JoinKind::RightOuter => JoinType::Right,
        JoinKind::FullOuter => JoinType::Full,
        JoinKind::LeftSemi => JoinType::LeftSemi,
        JoinKind::RightSemi => JoinType::RightSemi,
        JoinKind::LeftAnti => JoinType::LeftAnti,
        JoinKind::RightAnti => JoinType::RightAnti,
    }
}
