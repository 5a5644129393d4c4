//! Functions that are called by their names, with parameters beside their arguments: those of the
//! namespaces of expressions, as `str.upper` or `list.get`.
//!
//! What each computes stands in the module of its namespace. They mean what the kernels of PyArrow
//! mean, except where documentation says otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, new_empty_array, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, internal_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use raceline_types::{Diagnostic, ErrorKind, nearest_names};
use thiserror::Error;

use super::{embedding, json, list, nested, text, time, url};

/// Names of all functions.
const NAMES: [&[&str]; 7] = [
    text::NAMES,
    list::NAMES,
    nested::NAMES,
    time::NAMES,
    embedding::NAMES,
    json::NAMES,
    url::NAMES,
];

/// A value beside the arguments of a function, the same for all rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parameter {
    /// A switch.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// A function that does not exist, or a parameter that does not fit it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FunctionError {
    /// There is no such function.
    #[error("no function `{name}` of {arguments} argument(s)")]
    Unknown {
        /// The name asked for.
        name: String,
        /// How many arguments it was to have.
        arguments: usize,
    },
    /// A parameter that is missing, of the wrong type, or has no meaning.
    #[error("parameter `{parameter}` of `{function}` {reason}")]
    Parameter {
        /// The function.
        function: String,
        /// The parameter.
        parameter: String,
        /// What is wrong, as the end of a sentence.
        reason: String,
    },
}

impl Diagnostic for FunctionError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        let Self::Unknown { name, .. } = self else { return None };
        let nearest = nearest_names(name, NAMES.iter().flat_map(|names| names.iter().copied()));
        nearest.first().map(|best| format!("did you mean `{best}`?"))
    }
}

/// `name` of `arguments`; a null argument gives null, except where the function says otherwise.
///
/// # Errors
/// [`FunctionError`]. Types are checked when the columns are known.
pub fn named(
    name: &str,
    arguments: Vec<Expr>,
    parameters: BTreeMap<String, Parameter>,
) -> Result<Expr, FunctionError> {
    let unknown = || FunctionError::Unknown { name: name.to_owned(), arguments: arguments.len() };
    let given = Parameters { function: name, all: &parameters };
    let (namespace, _) = name.split_once('.').ok_or_else(unknown)?;
    let kernel = match namespace {
        "str" => text::kernel(&given)?,
        "list" => list::kernel(&given)?,
        "struct" | "map" | "arr" => nested::kernel(&given)?,
        "dt" => time::kernel(&given)?,
        "embedding" => embedding::kernel(&given)?,
        "json" => json::kernel(&given)?,
        "url" => url::kernel(&given)?,
        _ => None,
    };
    let kernel = kernel.filter(|kernel| kernel.arguments == arguments.len()).ok_or_else(unknown)?;
    let signature = Signature::any(arguments.len(), Volatility::Immutable);
    let shown = parameters.iter().map(|(name, value)| format!("{name}={value}"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let title = if shown.is_empty() { name.to_owned() } else { format!("{name}[{shown}]") };
    let function = name.to_owned();
    let function = NamedFunction { function, title, parameters, kernel, signature };
    Ok(ScalarUDF::new_from_impl(function).call(arguments))
}

/// The parameters of a function that is being made.
pub(super) struct Parameters<'a> {
    pub(super) function: &'a str,
    all: &'a BTreeMap<String, Parameter>,
}

impl Parameters<'_> {
    /// A required text.
    pub(super) fn text(&self, name: &str) -> Result<String, FunctionError> {
        match self.all.get(name) {
            Some(Parameter::Text(text)) => Ok(text.clone()),
            Some(_) => Err(self.error(name, "must be a string")),
            None => Err(self.error(name, "is missing")),
        }
    }

    /// A text; `None` when it was not given.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, FunctionError> {
        if self.all.contains_key(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    /// A whole number; `None` when it was not given.
    pub(super) fn optional_number(&self, name: &str) -> Result<Option<i64>, FunctionError> {
        match self.all.get(name) {
            Some(Parameter::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(self.error(name, "must be an int")),
            None => Ok(None),
        }
    }

    /// A required whole number.
    pub(super) fn number(&self, name: &str) -> Result<i64, FunctionError> {
        self.optional_number(name)?.ok_or_else(|| self.error(name, "is missing"))
    }

    /// A required whole number of at least 0.
    pub(super) fn size(&self, name: &str) -> Result<usize, FunctionError> {
        let negative = |_| self.error(name, "must be at least 0");
        usize::try_from(self.number(name)?).map_err(negative)
    }

    /// A whole number of at least 0; `None` when it was not given.
    pub(super) fn optional_size(&self, name: &str) -> Result<Option<usize>, FunctionError> {
        if self.all.contains_key(name) { self.size(name).map(Some) } else { Ok(None) }
    }

    /// A switch, off unless it was given.
    pub(super) fn flag(&self, name: &str) -> Result<bool, FunctionError> {
        match self.all.get(name) {
            Some(Parameter::Flag(flag)) => Ok(*flag),
            Some(_) => Err(self.error(name, "must be a bool")),
            None => Ok(false),
        }
    }

    /// What is wrong with a parameter.
    pub(super) fn error(&self, parameter: &str, reason: impl Into<String>) -> FunctionError {
        FunctionError::Parameter {
            function: self.function.to_owned(),
            parameter: parameter.to_owned(),
            reason: reason.into(),
        }
    }
}

type OutputOf = dyn Fn(&[FieldRef]) -> Option<Field> + Send + Sync;
type Evaluate = dyn Fn(&[ArrayRef], &[FieldRef]) -> Result<ArrayRef> + Send + Sync;

/// What a function computes.
pub(super) struct Kernel {
    arguments: usize,
    output: Box<OutputOf>,
    evaluate: Box<Evaluate>,
}

impl Kernel {
    /// A function of one argument, whose type `output` tells (`None` when it is not defined).
    pub(super) fn of_one(
        output: impl Fn(&DataType) -> Option<DataType> + Send + Sync + 'static,
        evaluate: impl Fn(&ArrayRef) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        let output = move |field: &Field| output(field.data_type()).map(value_field);
        Self::of_field(output, move |array, _| evaluate(array))
    }

    /// A function of one argument that looks at the argument's field.
    pub(super) fn of_field(
        output: impl Fn(&Field) -> Option<Field> + Send + Sync + 'static,
        evaluate: impl Fn(&ArrayRef, &Field) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        Self {
            arguments: 1,
            output: Box::new(move |fields| fields.first().and_then(|field| output(field))),
            evaluate: Box::new(move |arrays, fields| {
                let ([array], [field]) = (arrays, fields) else {
                    return internal_err!("a function of one argument got {}", arrays.len());
                };
                evaluate(array, field)
            }),
        }
    }

    /// A function of two arguments.
    pub(super) fn of_two(
        output: impl Fn(&DataType, &DataType) -> Option<DataType> + Send + Sync + 'static,
        evaluate: impl Fn(&ArrayRef, &ArrayRef) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        Self {
            arguments: 2,
            output: Box::new(move |fields| match fields {
                [left, right] => output(left.data_type(), right.data_type()).map(value_field),
                _ => None,
            }),
            evaluate: Box::new(move |arrays, _| {
                let [left, right] = arrays else {
                    return internal_err!("a function of two arguments got {}", arrays.len());
                };
                evaluate(left, right)
            }),
        }
    }
}

/// A nullable field of values of a type; its name means nothing.
pub(super) fn value_field(data_type: DataType) -> Field {
    Field::new("value", data_type, true)
}

struct NamedFunction {
    function: String,
    /// With the parameters, as people see it.
    title: String,
    parameters: BTreeMap<String, Parameter>,
    kernel: Kernel,
    signature: Signature,
}

impl PartialEq for NamedFunction {
    fn eq(&self, other: &Self) -> bool {
        let Self { function, title: _, parameters, kernel: _, signature: _ } = self;
        *function == other.function && *parameters == other.parameters
    }
}

impl Eq for NamedFunction {}

impl Hash for NamedFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { function, title: _, parameters, kernel: _, signature: _ } = self;
        function.hash(state);
        parameters.hash(state);
    }
}

impl fmt::Debug for NamedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, title: _, parameters, kernel: _, signature: _ } = self;
        f.debug_struct("NamedFunction")
            .field("function", function)
            .field("parameters", parameters)
            .finish_non_exhaustive()
    }
}

impl ScalarUDFImpl for NamedFunction {
    fn name(&self) -> &str {
        &self.title
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("`{}` tells its type by its arguments' fields", self.function)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if let Some(field) = (self.kernel.output)(args.arg_fields) {
            return Ok(Arc::new(field.with_nullable(true)));
        }
        // A batch in which a column is null everywhere does not tell its type.
        if args.arg_fields.iter().any(|one| one.data_type() == &DataType::Null) {
            return Ok(Arc::new(value_field(DataType::Null)));
        }
        let types: Vec<_> = args.arg_fields.iter().map(|one| one.data_type().to_string()).collect();
        plan_err!("`{}` is not defined for {}", self.function, types.join(" and "))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let are_scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        if arrays.first().is_none_or(|array| array.is_empty()) {
            let empty = new_empty_array(args.return_field.data_type());
            return Ok(ColumnarValue::Array(empty));
        }
        if args.return_field.data_type() == &DataType::Null {
            let nulls = new_null_array(&DataType::Null, arrays[0].len());
            return Ok(ColumnarValue::Array(nulls));
        }
        let result = (self.kernel.evaluate)(&arrays, &args.arg_fields)?;
        if are_scalars {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}
