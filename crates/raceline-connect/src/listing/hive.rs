//! The columns of folders: `column=value`, or by their order.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use raceline_plan::{FolderColumns, FolderNames, PartitionStyle};

use crate::error::ConnectError;

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

/// Columns and values.
type Values = Vec<(Arc<str>, Arc<str>)>;

/// Columns and values of the folders of the file `path` (without scheme), outermost first; the
/// file's own name means nothing. Values are decoded, except that [`HIVE_NULL`] stays as it is.
///
/// # Errors
/// [`ConnectError::Folders`] for folders that do not fit the names that were given for them.
pub(super) fn partition_values(path: &str, style: &PartitionStyle) -> Result<Values, ConnectError> {
    let path = path.trim_start_matches('/');
    match style {
        PartitionStyle::None => Ok(Vec::new()),
        PartitionStyle::Hive => Ok(hive_values(path)),
        PartitionStyle::Below(columns) => values_below(path, columns),
    }
}

fn values_below(path: &str, columns: &FolderColumns) -> Result<Values, ConnectError> {
    let below = match columns.base.as_str() {
        "" => Some(path),
        base => path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')),
    };
    let Some(below) = below else { return Ok(Vec::new()) };
    let misfit = |found: Vec<String>, names: Vec<String>| ConnectError::Folders {
        path: path.to_owned(),
        found,
        names,
    };
    match &columns.names {
        FolderNames::Hive(wanted) => {
            let values = hive_values(below);
            let found = || values.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
            match wanted {
                Some(wanted) if !values.is_empty() && found() != *wanted => {
                    Err(misfit(found(), wanted.clone()))
                }
                _ => Ok(values),
            }
        }
        FolderNames::Order(names) => {
            let folders = below.rsplit_once('/').map_or("", |(folders, _)| folders);
            let folders: Vec<&str> = folders.split('/').filter(|one| !one.is_empty()).collect();
            if !folders.is_empty() && folders.len() != names.len() {
                let found = folders.iter().map(ToString::to_string).collect();
                let names = names.iter().map(|name| name.clone().unwrap_or_default()).collect();
                return Err(misfit(found, names));
            }
            let pairs = names.iter().zip(folders);
            let values = pairs.filter_map(|(name, folder)| Some((name.as_deref()?, folder)));
            Ok(values.map(|(name, folder)| (name.into(), folder.into())).collect())
        }
    }
}

fn hive_values(path: &str) -> Values {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
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
        let values = hive_values("sales/year=2024/at=10%3A00/p=__HIVE_DEFAULT_PARTITION__/a=b");
        let values: Vec<_> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(values, [("year", "2024"), ("at", "10:00"), ("p", HIVE_NULL)]);
        assert!(hive_values("a=1.parquet").is_empty());
    }

    fn below(base: &str, names: FolderNames, path: &str) -> Result<String, String> {
        let style = PartitionStyle::Below(Arc::new(FolderColumns { base: base.into(), names }));
        match partition_values(path, &style) {
            Ok(values) => {
                let values = values.iter().map(|(name, value)| format!("{name}:{value}"));
                Ok(values.collect::<Vec<_>>().join(" "))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn folders_below_a_base_become_columns() {
        let order = || FolderNames::Order(vec![Some("year".into()), None, Some("day".into())]);
        assert_eq!(below("data", order(), "/data/2024/05/x/a.csv").unwrap(), "year:2024 day:x");
        assert_eq!(below("data", order(), "/data/a.csv").unwrap(), "");
        assert_eq!(below("dat", order(), "/data/1/2/3/a.csv").unwrap(), "");
        let hive = |names: Option<&str>| FolderNames::Hive(names.map(|name| vec![name.into()]));
        assert_eq!(below("a=1", hive(None), "/a=1/b=2/f").unwrap(), "b:2");
        assert_eq!(below("", hive(Some("b")), "/b=2/f").unwrap(), "b:2");
        assert_eq!(
            below("data", order(), "/data/2024/a.csv").unwrap_err(),
            "the folders of `data/2024/a.csv` do not fit the partitioning: they are `2024`, and \
             its columns `year`, ``, `day`"
        );
        assert_eq!(
            below("", hive(Some("c")), "/b=2/f").unwrap_err(),
            "the folders of `b=2/f` do not fit the partitioning: they are `b`, and its columns `c`"
        );
    }

    proptest! {
        #[test]
        fn any_value_comes_back(column in "[^=]{1,8}", value in ".{1,20}") {
            let location = format!("root/{}/file", folder_name(&column, Some(&value)));
            let values = hive_values(&location);
            prop_assert_eq!(values.len(), 1);
            prop_assert_eq!(&*values[0].0, &*column);
            prop_assert_eq!(&*values[0].1, &*value);
        }
    }
}
