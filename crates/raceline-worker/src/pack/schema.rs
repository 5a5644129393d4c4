//! Schemas travel once and are named by a slot from then on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::convert::{IpcSchemaEncoder, fb_to_schema};
use arrow::ipc::root_as_schema;
use arrow::ipc::writer::DictionaryTracker;

use crate::wire;

/// Slots of a table. A function whose output has ever new schemas sets slots anew in turn.
const SLOTS: usize = 64;

/// The sender's table.
#[derive(Debug, Default)]
pub(crate) struct SchemaWriter {
    slots: Vec<SchemaRef>,
    next: usize,
}

impl SchemaWriter {
    /// How to name `schema` in the next message.
    pub(crate) fn name(&mut self, schema: &SchemaRef) -> wire::SchemaRef {
        if let Some(slot) = self.slots.iter().position(|known| known == schema) {
            return wire::SchemaRef { slot: slot_number(slot), ipc: None };
        }
        let slot = self.next;
        self.next = (self.next + 1) % SLOTS;
        if slot == self.slots.len() {
            self.slots.push(SchemaRef::clone(schema));
        } else {
            self.slots[slot] = SchemaRef::clone(schema);
        }
        let mut tracker = DictionaryTracker::new(false);
        let encoded = IpcSchemaEncoder::new()
            .with_dictionary_tracker(&mut tracker)
            .schema_to_fb(schema)
            .finished_data()
            .to_vec();
        wire::SchemaRef { slot: slot_number(slot), ipc: Some(encoded) }
    }
}

/// The reader's table.
#[derive(Debug, Default)]
pub(crate) struct SchemaReader {
    slots: Vec<SchemaRef>,
}

impl SchemaReader {
    /// The schema that a message names.
    ///
    /// # Errors
    /// When the slot was never set or the schema cannot be read.
    pub(crate) fn resolve(&mut self, name: &wire::SchemaRef) -> Result<SchemaRef, ArrowError> {
        let slot = name.slot as usize;
        if let Some(encoded) = &name.ipc {
            let table = root_as_schema(encoded)
                .map_err(|error| ArrowError::SchemaError(format!("malformed: {error}")))?;
            // Arrow's reader asserts what the verifier of flatbuffers does not check.
            let schema = catch_unwind(AssertUnwindSafe(|| fb_to_schema(table)))
                .map_err(|_| ArrowError::SchemaError("malformed".to_owned()))?;
            if slot < self.slots.len() {
                self.slots[slot] = schema.into();
            } else if slot == self.slots.len() && slot < SLOTS {
                self.slots.push(schema.into());
            }
        }
        self.slots
            .get(slot)
            .map(SchemaRef::clone)
            .ok_or_else(|| ArrowError::SchemaError(format!("schema slot {slot} was never set")))
    }
}

fn slot_number(slot: usize) -> u32 {
    u32::try_from(slot).expect("there are 64 slots")
}
