//! Weighing the rows of a stage's output for a consumer whose batches have bounds.

use std::sync::Arc;

use raceline_types::{Batch, Failure, InternalError, Span, row_bytes};

use crate::error::ExecError;
use crate::graph::{Body, Node};
use crate::operator::{BatchBounds, BatchShape, Operator};
use crate::scheduler::RowWeight;

/// Weighs rows for an operator.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    operator: Arc<dyn Operator>,
    bounds: BatchBounds,
}

impl Scale {
    /// What weighs the output of each of `nodes` for what consumes it; `None` where it need not
    /// be weighed.
    pub(crate) fn of_outputs(nodes: &[Node]) -> Vec<Option<Self>> {
        let mut scales = vec![None; nodes.len()];
        for node in nodes {
            if let (Body::Operator(operator), [input]) = (&node.body, &node.inputs[..]) {
                scales[*input] = Self::of(operator);
            }
        }
        scales
    }

    fn of(operator: &Arc<dyn Operator>) -> Option<Self> {
        match operator.input() {
            BatchShape::Within(bounds) => Some(Self { operator: Arc::clone(operator), bounds }),
            BatchShape::AsIs
            | BatchShape::Rows(_)
            | BatchShape::AtLeastRows(_)
            | BatchShape::Fastest(_) => None,
        }
    }

    /// What each row of `batch` weighs.
    ///
    /// # Errors
    /// What [`Operator::row_costs`] fails with, and [`ExecError::Cost`] with the row.
    pub(crate) fn weigh(&self, batch: &Batch) -> Result<Vec<RowWeight>, Failure> {
        let mut rows = vec![RowWeight::default(); batch.rows()];
        if self.bounds.bytes_max.is_some() {
            for (row, bytes) in rows.iter_mut().zip(row_bytes(&batch.data)) {
                row.bytes = bytes;
            }
        }
        if self.bounds.cost_max.is_some() && !rows.is_empty() {
            self.add_costs(batch, &mut rows)
                .map_err(|failure| failure.in_stage(&self.operator.name()))?;
        }
        Ok(rows)
    }

    fn add_costs(&self, batch: &Batch, rows: &mut [RowWeight]) -> Result<(), Failure> {
        let costs = self.operator.row_costs(batch)?;
        if costs.len() != rows.len() {
            let what = format!("{} costs were told of {} rows", costs.len(), rows.len());
            return Err(InternalError::new(what).into());
        }
        for (at, (row, cost)) in rows.iter_mut().zip(&costs).enumerate() {
            match cost {
                Some(cost) if cost.is_finite() && cost >= 0.0 => row.cost = cost,
                _ => return Err(refuse(cost, batch, at)),
            }
        }
        Ok(())
    }
}

/// The failure for a row that costs `cost`.
fn refuse(cost: Option<f64>, batch: &Batch, at: usize) -> Failure {
    let cost = cost.map_or_else(|| "null".to_owned(), |cost| cost.to_string());
    let failure = Failure::from(ExecError::Cost { cost });
    match batch.slice(at, 1).origin[..] {
        [Span { first_row, rows: 1, .. }] => failure.at_rows(first_row, first_row),
        _ => failure,
    }
}
