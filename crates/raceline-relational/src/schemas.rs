//! The columns of a scan beside those of one of its files, for people.

use std::fmt;

use arrow::datatypes::Schema;

/// Columns that are told at most.
const COLUMNS_TOLD_MAX: usize = 50;

/// The columns of a scan and of one of its files, as text.
#[derive(Debug)]
pub struct Schemas {
    scan: String,
    file: String,
}

impl Schemas {
    /// Those of `scan` and of `file`.
    pub(crate) fn new(scan: &Schema, file: &Schema) -> Self {
        Self { scan: text(scan), file: text(file) }
    }
}

impl fmt::Display for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scan, file } = self;
        write!(f, "  columns that are read: {scan}\n  columns of the file: {file}")
    }
}

fn text(schema: &Schema) -> String {
    let told = schema.fields().iter().take(COLUMNS_TOLD_MAX);
    let told: Vec<_> =
        told.map(|field| format!("{}: {}", field.name(), field.data_type())).collect();
    let more = match schema.fields().len().saturating_sub(COLUMNS_TOLD_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{}{more}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn many_columns_are_not_all_told() {
        let columns = |count: usize| {
            let fields = (0..count).map(|at| Field::new(format!("c{at}"), DataType::Int64, true));
            Schema::new(fields.collect::<Vec<_>>())
        };
        let text = Schemas::new(&columns(2), &columns(COLUMNS_TOLD_MAX + 3)).to_string();
        let (scan, file) = text.split_once('\n').unwrap();
        assert_eq!(scan, "  columns that are read: c0: Int64, c1: Int64");
        assert!(file.ends_with(", c49: Int64, and 3 more"), "{file}");
    }
}
