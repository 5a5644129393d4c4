//! Functions of texts that are URLs: the namespace `.url`.

use std::sync::Arc;

use arrow::array::Int32Array;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use url::Url;

use super::named::{FunctionError, Kernel, Parameters};
use super::text::{Texts, TextsBuilder, is_text};

/// Names of the functions.
pub(super) const NAMES: &[&str] = &[
    "url.scheme",
    "url.host",
    "url.port",
    "url.path",
    "url.query",
    "url.fragment",
    "url.parameter",
];

/// The function of this name; `None` when there is none. A text that is no URL, and a part that a
/// URL does not have, are missing.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    Ok(Some(match given.function {
        "url.scheme" => part(|url| Some(url.scheme().to_owned())),
        "url.host" => part(|url| url.host_str().map(str::to_owned)),
        "url.port" => port(),
        "url.path" => part(|url| Some(url.path().to_owned())),
        "url.query" => part(|url| url.query().map(str::to_owned)),
        "url.fragment" => part(|url| url.fragment().map(str::to_owned)),
        "url.parameter" => {
            let name = given.text("name")?;
            part(move |url| {
                let mut all = url.query_pairs();
                all.find(|(key, _)| *key == name).map(|(_, value)| value.into_owned())
            })
        }
        _ => return Ok(None),
    }))
}

fn part(of: impl Fn(&Url) -> Option<String> + Send + Sync + 'static) -> Kernel {
    let output = |data_type: &DataType| is_text(data_type).then_some(DataType::Utf8);
    Kernel::of_one(output, move |array| {
        let values = Texts::of(array)?;
        let mut made = TextsBuilder::of(values.len());
        let mut found = Vec::with_capacity(values.len());
        for value in values.iter() {
            let part = value.and_then(|value| of(&Url::parse(value).ok()?));
            made.open().push_str(part.as_deref().unwrap_or_default());
            made.close()?;
            found.push(part.is_some());
        }
        let nulls = NullBuffer::new(BooleanBuffer::from(found));
        Ok(Arc::new(made.finish(Some(nulls))))
    })
}

/// The port, or that which the scheme has by default.
fn port() -> Kernel {
    let output = |data_type: &DataType| is_text(data_type).then_some(DataType::Int32);
    Kernel::of_one(output, |array| {
        let values = Texts::of(array)?;
        let port = |value: &str| Url::parse(value).ok()?.port_or_known_default().map(i32::from);
        Ok(Arc::new(values.iter().map(|value| value.and_then(port)).collect::<Int32Array>()))
    })
}
