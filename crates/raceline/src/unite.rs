//! Brings the inputs of a union to one schema.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
use raceline_types::{Batch, Failure, conform};

/// Gives each batch the columns of a schema that holds all of its own; those that it lacks are
/// null. Rows, their order and their origin stay.
#[derive(Debug)]
pub(crate) struct UniteOperator {
    schema: SchemaRef,
}

impl UniteOperator {
    /// Brings batches to `schema`.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema }
    }
}

#[async_trait]
impl Operator for UniteOperator {
    fn name(&self) -> Arc<str> {
        "Unite".into()
    }

    fn pool(&self) -> PoolShape {
        PoolShape::inline()
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        let Batch { data, origin } = input;
        let united = conform(&data, &self.schema)?;
        drop(data);
        out.emit(Batch::new(united, origin)).await
    }
}
