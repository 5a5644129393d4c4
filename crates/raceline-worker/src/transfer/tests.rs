//! Batches between two ends whose columns lie in shared memory, in part or in whole.

use std::collections::VecDeque;

use arrow::array::{ArrayData, Int64Array, RecordBatchOptions, make_array};
use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::pack::tests::batch;

/// An engine's end and a worker's, which pass all that they can.
struct Pair {
    memory: Arc<SharedMemory>,
    engine: Transfer,
    worker: Transfer,
}

impl Pair {
    fn new() -> Self {
        let memory = SharedMemory::new();
        let engine = Transfer { bytes_min: 1, ..Transfer::of_engine(Arc::clone(&memory)) };
        let worker = Transfer { bytes_min: 1, ..Transfer::of_worker() };
        Self { memory, engine, worker }
    }

    /// Sends `batch` to the worker: what it gets, and what was copied and passed.
    fn send(&mut self, batch: &RecordBatch) -> (RecordBatch, (u64, u64)) {
        cross(&mut self.engine, &mut self.worker, batch)
    }

    /// Sends `batch` back.
    fn send_back(&mut self, batch: &RecordBatch) -> (RecordBatch, (u64, u64)) {
        cross(&mut self.worker, &mut self.engine, batch)
    }

    /// Tells both ends of what the other one no longer views.
    fn settle(&mut self) {
        self.worker.take_back(self.engine.returned()).unwrap();
        self.engine.take_back(self.worker.returned()).unwrap();
    }

    fn is_idle(&self) -> bool {
        let (engine, worker) = (&self.engine, &self.worker);
        engine.loans.is_empty() && worker.loans.is_empty() && self.memory.used_bytes() == 0
    }

    /// The bytes in shared memory.
    fn shared(&self, bytes: &[u8]) -> Buffer {
        let mut space = Box::new(self.memory.space(bytes.len()).unwrap());
        space.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        space.into_buffer(bytes.len())
    }

    /// `data` with those of its buffers in shared memory that `which` picks.
    fn moved(&self, data: &ArrayData, which: &mut impl FnMut() -> bool) -> ArrayData {
        let buffers = data.buffers().iter();
        let buffers =
            buffers.map(|buffer| if which() { self.shared(buffer) } else { buffer.clone() });
        let buffers = buffers.collect();
        let children = data.child_data().iter().map(|child| self.moved(child, which)).collect();
        let builder = data.clone().into_builder().buffers(buffers).child_data(children);
        builder.build().unwrap()
    }
}

fn cross(from: &mut Transfer, to: &mut Transfer, batch: &RecordBatch) -> (RecordBatch, (u64, u64)) {
    let (packed, attached) = from.pack(batch).unwrap();
    let files = attached.descriptors().into_iter().map(|file| file.try_clone_to_owned());
    let mut files: VecDeque<_> = files.collect::<io::Result<_>>().unwrap();
    let crossed = to.unpack(&packed, || Ok(files.pop_front().unwrap())).unwrap();
    assert!(files.is_empty());
    (crossed, packed.moved_bytes)
}

fn numbers(count: i64) -> RecordBatch {
    let field = Field::new("c", DataType::Int64, false);
    let column = Arc::new(Int64Array::from_iter_values(0..count));
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn batches_cross_whatever_memory_they_lie_in(
        batches in prop::collection::vec((batch(), any::<u64>(), any::<Index>()), 1..4),
    ) {
        let mut pair = Pair::new();
        let mut kept = Vec::new();
        for (batch, seed, at) in batches {
            let mut dice = seed;
            let mut which = || {
                dice = dice.rotate_left(1);
                dice & 1 == 1
            };
            let columns = batch.columns().iter();
            let columns =
                columns.map(|column| make_array(pair.moved(&column.to_data(), &mut which)));
            let columns = columns.collect();
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let whole =
                RecordBatch::try_new_with_options(batch.schema(), columns, &options).unwrap();
            let first = at.index(whole.num_rows() + 1);
            let slice = whole.slice(first, whole.num_rows() - first);
            for sent in [whole, slice] {
                let (got, _) = pair.send(&sent);
                prop_assert_eq!(&got, &sent);
                let (back, _) = pair.send_back(&got);
                prop_assert_eq!(&back, &sent);
                let half = got.slice(0, got.num_rows() / 2);
                let (half_back, _) = pair.send_back(&half);
                prop_assert_eq!(&half_back, &half);
                // The engine keeps what came back, the worker what it got, of some batches.
                if seed % 3 > 0 {
                    kept.push((back, batch.slice(batch.num_rows() - sent.num_rows(), sent.num_rows())));
                }
                if seed % 5 > 1 {
                    kept.push((got, batch.slice(batch.num_rows() - sent.num_rows(), sent.num_rows())));
                }
                pair.settle();
            }
        }
        for (kept, expected) in &kept {
            prop_assert_eq!(kept, expected);
        }
        drop(kept);
        pair.settle();
        prop_assert!(pair.is_idle());
    }
}

#[test]
fn what_lies_in_shared_memory_is_not_copied_and_comes_back_as_it_is() {
    let mut pair = Pair::new();
    let heap = numbers(1000);
    let data = pair.moved(&heap.column(0).to_data(), &mut || true);
    let shared = RecordBatch::try_new(heap.schema(), vec![make_array(data)]).unwrap();
    let (got, moved) = pair.send(&shared);
    assert_eq!(moved, (0, 8000));
    let (back, moved) = pair.send_back(&got);
    assert_eq!(moved, (0, 8000));
    let address = |batch: &RecordBatch| batch.column(0).to_data().buffers()[0].as_ptr();
    assert_eq!(address(&back), address(&shared));
    // A slice names its part alone.
    let (part, moved) = pair.send(&shared.slice(500, 10));
    assert_eq!(moved, (0, 80));
    assert_eq!(part, heap.slice(500, 10));
}

#[test]
fn what_was_copied_to_the_worker_comes_back_as_it_is() {
    let mut pair = Pair::new();
    let (got, moved) = pair.send(&numbers(1000));
    assert_eq!(moved, (8000, 0));
    let (back, moved) = pair.send_back(&got);
    assert_eq!(moved, (0, 8000));
    drop(got);
    pair.settle();
    assert_eq!((back, pair.memory.used_bytes()), (numbers(1000), 8000));
}

#[test]
fn little_of_a_large_loan_is_copied_back() {
    let mut pair = Pair::new();
    let (got, _) = pair.send(&numbers(1000));
    let (little, moved) = pair.send_back(&got.slice(0, 799));
    assert_eq!(moved, (6392, 0));
    let (_most, moved) = pair.send_back(&got.slice(0, 800));
    assert_eq!(moved, (0, 6400));
    assert_eq!(little, numbers(799));
}

#[test]
fn more_files_than_travel_at_once_are_no_trouble() {
    let mut pair = Pair::new();
    let values: Vec<Buffer> = (0..40_u8).map(|value| pair.shared(&vec![value; 17 << 20])).collect();
    let columns = values.iter().enumerate().map(|(at, values)| {
        let data = ArrayData::builder(DataType::UInt8).len(8).add_buffer(values.clone());
        (format!("c{at}"), make_array(data.build().unwrap()))
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let (_, (_, mut passed_before)) = pair.send(&batch);
    assert!(passed_before < 40 * 8, "some travel later");
    for _ in 0..4 {
        let (got, (copied, passed)) = pair.send(&batch);
        assert_eq!((got, copied + passed), (batch.clone(), 40 * 8));
        assert!(passed > passed_before || passed == 40 * 8);
        passed_before = passed;
    }
    assert_eq!(passed_before, 40 * 8);
}

#[test]
fn what_is_not_on_loan_is_neither_returned_nor_sent_back() {
    let mut pair = Pair::new();
    let error = pair.engine.take_back(vec![5]).unwrap_err();
    assert_eq!(error.to_string(), "memory was returned that is not on loan");
    let (mut packed, _attached) = pair.worker.pack(&numbers(10)).unwrap();
    packed.regions = vec![Region::Yours { loan: 7 }];
    packed.new_files.clear();
    let Err(ReceiveError::Segment(error)) = pair.engine.unpack(&packed, || unreachable!()) else {
        panic!("it is refused")
    };
    assert_eq!(error.to_string(), "memory was sent back that is not on loan");
}
