//! Hive partitions: `column=value` folders.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The folder value that stands for a null.
pub const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// What has a meaning in folder names, patterns or URLs.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'~');

/// Columns and values of the folders in `location`, outermost first; the file's own name means
/// nothing. Values are decoded, except that [`HIVE_NULL`] stays as it is.
pub(super) fn partition_values(location: &str) -> Vec<(Arc<str>, Arc<str>)> {
    let folders = location.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders
        .split('/')
        .filter_map(|folder| folder.split_once('='))
        .filter(|(column, _)| !column.is_empty())
        .map(|(column, value)| (decode(column), decode(value)))
        .collect()
}

/// The folder of the rows whose `column` is `value`.
pub(crate) fn folder_name(column: &str, value: Option<&str>) -> String {
    let column = utf8_percent_encode(column, ESCAPED);
    // An empty value has no spelling of its own: `column=` would not be a folder everywhere.
    match value {
        None | Some("") => format!("{column}={HIVE_NULL}"),
        Some(value) => format!("{column}={}", utf8_percent_encode(value, ESCAPED)),
    }
}

/// Bytes that are not UTF-8 when decoded were not encoded by this rule and stay as they are.
fn decode(text: &str) -> Arc<str> {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.into(), Arc::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folders_become_columns() {
        let values =
            partition_values("sales/year=2024/at=10%3A00/p=__HIVE_DEFAULT_PARTITION__/a=b");
        let values: Vec<_> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(values, [("year", "2024"), ("at", "10:00"), ("p", HIVE_NULL)]);
        assert!(partition_values("a=1.parquet").is_empty());
    }

    proptest! {
        #[test]
        fn any_value_comes_back(column in "[^=]{1,8}", value in ".{1,20}") {
            let location = format!("root/{}/file", folder_name(&column, Some(&value)));
            let values = partition_values(&location);
            prop_assert_eq!(values.len(), 1);
            prop_assert_eq!(&*values[0].0, &*column);
            prop_assert_eq!(&*values[0].1, &*value);
        }
    }
}
