//! What an f-string makes of a value.

use super::convert;
use super::decline::Decline;
use super::function::{Convert, Operation};
use super::program::Constant;
use super::term::{Kind, Term};

/// Digits behind the point without a precision.
const PRECISION: u8 = 6;

/// Digits behind the point at most.
const PRECISION_MAX: u8 = 60;

/// `format(value, format)`.
///
/// # Errors
/// When the compiler does not know how the value is written.
pub(super) fn format(value: &Term, format: Option<&Term>) -> Result<Term, Decline> {
    if value.array {
        return Err(Decline::new("it formats an array"));
    }
    let format = match format.map(|format| &format.constant) {
        None => return convert::text(value),
        Some(Some(Constant::Str(format))) if format.is_empty() => return convert::text(value),
        Some(Some(Constant::Str(format))) => format,
        Some(_) => return Err(Decline::new("it formats by a computed format")),
    };
    let unknown = || Decline::new(format!("it formats {} by `{format}`", value.kind.name()));
    let Format { zeros, width, precision, presentation } =
        Format::parse(format).ok_or_else(unknown)?;
    let convert = match (value.kind, presentation, precision) {
        (Kind::Int, None | Some('d'), None) => Convert::Padded { zeros, width },
        (Kind::Str, None, None) if !zeros => Convert::Padded { zeros, width },
        (Kind::Int | Kind::Float, Some('f'), precision) => {
            let precision = precision.unwrap_or(PRECISION);
            Convert::Fixed { zeros, width, precision }
        }
        _ => return Err(unknown()),
    };
    let expr = match convert {
        Convert::Fixed { .. } => value.cast_to(Kind::Float),
        _ => value.expr.clone(),
    };
    Term::computed(Operation::Convert(convert).call(vec![expr]), Kind::Str, &[value])
}

/// The parts of a format that the compiler knows: `[0][width][.precision][d|f]`.
struct Format {
    zeros: bool,
    width: u8,
    precision: Option<u8>,
    presentation: Option<char>,
}

impl Format {
    fn parse(text: &str) -> Option<Self> {
        let (zeros, text) = match text.strip_prefix('0') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (width, text) = text.split_at(digits(text));
        let width = if width.is_empty() { 0 } else { width.parse().ok()? };
        let (precision, text) = match text.strip_prefix('.') {
            None => (None, text),
            Some(rest) => {
                let (precision, rest) = rest.split_at(digits(rest));
                let precision: u8 = precision.parse().ok()?;
                if precision > PRECISION_MAX {
                    return None;
                }
                (Some(precision), rest)
            }
        };
        let presentation = match text {
            "" => None,
            "d" => Some('d'),
            "f" => Some('f'),
            _ => return None,
        };
        (!zeros || width > 0).then_some(Self { zeros, width, precision, presentation })
    }
}
