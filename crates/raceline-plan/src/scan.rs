//! File scans: what to read, what to leave out, and the pieces it is read in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_expr::Expr;

/// How folders name partition columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum PartitionStyle {
    /// `column=value` folders become string columns.
    #[default]
    Hive,
    /// Folders below another one become string columns.
    Below(Arc<FolderColumns>),
    /// Folders mean nothing.
    None,
}

/// Which columns the folders below a base are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FolderColumns {
    /// The base, without scheme and slashes at its ends; empty is the root. What does not lie
    /// below it has no columns.
    pub base: String,
    /// The columns, outermost folder first.
    pub names: FolderNames,
}

/// What names the columns of folders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FolderNames {
    /// The folders themselves, `column=value`; with `Some` they must be these, in this order.
    Hive(Option<Vec<String>>),
    /// Their order: as many folders as names, of which `None` passes one over.
    Order(Vec<Option<String>>),
}

/// Options of a CSV scan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CsvReadOptions {
    /// Field separator.
    pub delimiter: u8,
    /// Quote character.
    pub quote: u8,
    /// Whether the first line names the columns.
    pub has_header: bool,
    /// Rows looked at to find the types.
    pub infer_rows: usize,
}

/// Options of a JSON scan (JSON lines, or one array or object a file).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonReadOptions {
    /// Objects looked at to find the columns, at most; only the first megabytes are looked at.
    pub infer_rows: usize,
}

/// Options of a text scan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextReadOptions {
    /// Whether lines without characters are left out.
    pub drop_empty_lines: bool,
}

/// Options of an image scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ImageReadOptions {
    /// Height and width to resize to; `None` keeps each image's own size.
    pub size: Option<(u32, u32)>,
    /// `RGB`, `L` or `RGBA`; `None` keeps the file's own mode (palettes become RGB).
    pub mode: Option<String>,
}

/// What the files hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Parquet.
    Parquet,
    /// Comma-separated values, compressed or not by the file's name.
    Csv(CsvReadOptions),
    /// JSON, compressed or not by the file's name.
    Json(JsonReadOptions),
    /// Lines of text: one row a line, column `text`.
    Text(TextReadOptions),
    /// Whole files: one row a file, column `bytes`.
    Binary,
    /// Images: one row a file, column `image`, uint8 height × width × channels.
    Image(ImageReadOptions),
}

impl FileFormat {
    /// The name of a read of this format: `ReadParquet`.
    #[must_use]
    pub fn read_name(&self) -> &'static str {
        match self {
            Self::Parquet => "ReadParquet",
            Self::Csv(_) => "ReadCSV",
            Self::Json(_) => "ReadJSON",
            Self::Text(_) => "ReadText",
            Self::Binary => "ReadBinary",
            Self::Image(_) => "ReadImages",
        }
    }
}

/// A scan of files.
#[derive(Clone, Debug, PartialEq)]
pub struct FileScan {
    /// What the files hold.
    pub format: FileFormat,
    /// Files, folders and globs, local or with a scheme, in the order given.
    pub paths: Vec<String>,
    /// Endpoint, region and credentials of the store; what is missing comes from the
    /// environment.
    pub storage_options: BTreeMap<String, String>,
    /// How folders name partition columns.
    pub partitions: PartitionStyle,
    /// Whether a column `path` names each row's file.
    pub include_paths: bool,
    /// File name endings to take (without dot, any case); `None` takes all.
    pub extensions: Option<Vec<String>>,
    /// How the order of the files is made random; `None` is the order of their paths.
    pub shuffle: Option<FileShuffle>,
    /// The schema, when the user declared it.
    pub schema: Option<SchemaRef>,
    /// Whether each file must have the columns of the declared schema and no others, of its types
    /// where files tell types.
    pub is_strict: bool,
    /// What the rest of the plan needs of the scan.
    pub request: ScanRequest,
}

/// A random order of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileShuffle {
    /// What the order depends on, beside the files; `None` is another order each time.
    pub seed: Option<u64>,
    /// Whether each run has an order of its own, which depends on its number as well.
    pub reseeds: bool,
}

impl FileShuffle {
    /// The seed of the run that so many ran before. A run's own is what Ray Data makes of it:
    /// Python's `hash((seed, execution)) % 2**32`.
    #[must_use]
    pub fn seed_of(self, execution: u64) -> Option<u64> {
        match self.seed {
            Some(seed) if self.reseeds => Some(pair_hash(seed, execution) % (1 << 32)),
            seed => seed,
        }
    }
}

/// Python's hash of a tuple of two ints that are not negative.
fn pair_hash(first: u64, second: u64) -> u64 {
    const PRIME_1: u64 = 11_400_714_785_074_694_791;
    const PRIME_2: u64 = 14_029_467_366_897_019_727;
    const PRIME_5: u64 = 2_870_177_450_012_600_261;
    const INT_MODULUS: u64 = (1 << 61) - 1;
    let mut hash = PRIME_5;
    for number in [first, second] {
        hash = hash.wrapping_add((number % INT_MODULUS).wrapping_mul(PRIME_2));
        hash = hash.rotate_left(31).wrapping_mul(PRIME_1);
    }
    hash.wrapping_add(2 ^ PRIME_5 ^ 0x35_d373)
}

/// What a plan needs of a scan. A source does as much of it as it can.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanRequest {
    /// Columns, in output order; `None` is all.
    pub projection: Option<Vec<String>>,
    /// With `Some`, also these columns, those of them that there are; then all come in the order
    /// of the files, and a file with a column that the scan does not know is still an error.
    pub wanted: Option<BTreeSet<String>>,
    /// Rows to keep; an over-approximation: the plan filters again unless the source says that
    /// it did so exactly.
    pub predicate: Option<Expr>,
    /// At most this many rows in all.
    pub limit: Option<u64>,
    /// Whether only the least and the greatest value of each column are asked for, missing values
    /// apart: rows that have neither may be left out, and rows may be mixed of several.
    pub only_bounds: bool,
}

impl ScanRequest {
    /// Names of the columns that are asked for; `None` is all.
    #[must_use]
    pub fn columns(&self) -> Option<Vec<&str>> {
        let named = self.projection.iter().flatten();
        match &self.wanted {
            None => self.projection.as_ref().map(|_| named.map(String::as_str).collect()),
            Some(wanted) => {
                let all: BTreeSet<&str> = named.chain(wanted).map(String::as_str).collect();
                Some(all.into_iter().collect())
            }
        }
    }
}

/// A piece of a file: the payload of the splits of a file scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSplit {
    /// The whole URI, for people: `s3://bucket/a.parquet`, `/data/a.parquet`.
    pub uri: Arc<str>,
    /// Key under which the session registered the store: `s3://bucket`, `file://`.
    pub store_url: Arc<str>,
    /// Path inside the store.
    pub location: Arc<str>,
    /// Size of the whole file in bytes.
    pub size_bytes: u64,
    /// Modification time in milliseconds since the epoch.
    pub modified_ms: i64,
    /// Byte range to read; `None` is the whole file. A reader takes the rows (lines, row
    /// groups) that start inside the range.
    pub range: Option<Range<u64>>,
    /// Partition columns and values from the folders, in folder order.
    pub partition_values: Vec<(Arc<str>, Arc<str>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_the_seeds_that_python_gives_them() {
        let shuffle = |seed, reseeds| FileShuffle { seed, reseeds };
        let seeds = [0, 1, 2].map(|execution| shuffle(Some(7), true).seed_of(execution));
        assert_eq!(seeds, [Some(2_465_645_771), Some(2_085_039_140), Some(3_752_577_270)]);
        assert_eq!(shuffle(Some(u64::MAX), true).seed_of(3), Some(1_224_486_991));
        assert_eq!(shuffle(Some(7), false).seed_of(3), Some(7));
        assert_eq!(shuffle(None, true).seed_of(3), None);
    }
}
