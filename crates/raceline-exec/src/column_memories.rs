//! Where the output of each stage is best written.

use std::sync::Arc;

use raceline_types::{ColumnMemory, HeapMemory};

use crate::graph::{Body, Node};

/// For each of `nodes`, the memory of the operator that takes its output, also behind regions that
/// hand batches on as they are; else the heap. Large columns in the memory of an operator may have
/// no more bytes than `queue_bytes`.
pub(crate) fn memories_of_outputs(nodes: &[Node], queue_bytes: u64) -> Vec<Arc<dyn ColumnMemory>> {
    let mut memories = vec![HeapMemory::shared(); nodes.len()];
    // Whoever takes an output comes behind it.
    for (at, node) in nodes.iter().enumerate().rev() {
        let memory = match &node.body {
            Body::Source(_) => None,
            Body::Operator(operator) => operator.input_memory(queue_bytes),
            Body::Region(region) => region.hands_on().then(|| Arc::clone(&memories[at])),
        };
        if let Some(memory) = memory {
            for &input in &node.inputs {
                memories[input] = Arc::clone(&memory);
            }
        }
    }
    memories
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use raceline_types::{Batch, ColumnSpace, Failure};

    use super::*;
    use crate::emit::Emit;
    use crate::operator::{BatchShape, Operator, PoolShape};
    use crate::region::{PortStream, Region};

    /// An operator with memory of its own, and a region that hands on or does not.
    #[derive(Clone, Debug)]
    struct Stub(bool);

    impl ColumnMemory for Stub {
        fn space(&self, bytes: usize) -> Box<dyn ColumnSpace> {
            HeapMemory.space(bytes)
        }
    }

    #[async_trait]
    impl Operator for Stub {
        fn name(&self) -> Arc<str> {
            "Stub".into()
        }

        fn pool(&self) -> PoolShape {
            PoolShape::inline()
        }

        fn input(&self) -> BatchShape {
            BatchShape::AsIs
        }

        fn input_memory(&self, _bytes_max: u64) -> Option<Arc<dyn ColumnMemory>> {
            self.0.then(|| Arc::new(self.clone()) as Arc<dyn ColumnMemory>)
        }

        async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
            out.emit(input).await
        }
    }

    #[async_trait]
    impl Region for Stub {
        fn name(&self) -> Arc<str> {
            "Stub".into()
        }

        fn hands_on(&self) -> bool {
            self.0
        }

        async fn run(&self, _: Vec<PortStream>, _: &mut dyn Emit) -> Result<(), Failure> {
            Ok(())
        }
    }

    fn node(body: Body, inputs: &[usize]) -> Node {
        Node { body, chain: Vec::new(), inputs: inputs.to_vec() }
    }

    #[test]
    fn memory_is_told_through_regions_that_hand_batches_on() {
        let (has, has_not) = (Arc::new(Stub(true)), Arc::new(Stub(false)));
        let operator = |stub: &Arc<Stub>| Body::Operator(Arc::clone(stub) as _);
        let region = |stub: &Arc<Stub>| Body::Region(Arc::clone(stub) as _);
        let nodes = [
            node(operator(&has_not), &[]),
            node(operator(&has_not), &[]),
            node(region(&has), &[0, 1]),
            node(region(&has), &[2]),
            node(operator(&has), &[3]),
            node(region(&has_not), &[4]),
            node(operator(&has), &[5]),
            node(operator(&has_not), &[6]),
        ];
        let memories = memories_of_outputs(&nodes, 1 << 20);
        let is_own = |memory: &Arc<dyn ColumnMemory>| format!("{memory:?}") == "Stub(true)";
        let owned: Vec<bool> = memories.iter().map(is_own).collect();
        assert_eq!(owned, [true, true, true, true, false, true, false, false]);
    }
}
