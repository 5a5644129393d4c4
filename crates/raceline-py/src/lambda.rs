//! Programs of the lambda compiler, from the plain tuples that `raceline._lambda` makes.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyFrozenSet, PyInt, PyString, PyTuple};
use pyo3_arrow::PyRecordBatch;
use raceline_plan::lambda::{
    BinaryOp, Builtin, CompareOp, Constant, Function, Instruction, Parameter, Program, UnaryOp,
};
use raceline_plan::{BatchFormat, UdfKind};
use raceline_relational::{Evaluation, evaluate_program};

use crate::batch::Batch;

/// The program in `(slots, constants, code, (row_is_value, int_roots), functions)`.
///
/// # Errors
/// An exception when the structure is not one; the inner error says why a program that is one
/// cannot be held, and is a reason to run the function in Python.
pub(crate) fn program_from_py(value: &Bound<'_, PyAny>) -> PyResult<Result<Program, String>> {
    type Parts<'py> = (
        usize,
        Vec<Bound<'py, PyAny>>,
        Vec<Bound<'py, PyTuple>>,
        (bool, bool),
        Vec<Bound<'py, PyAny>>,
    );
    let (slots, values, code, (row_is_value, int_roots), called): Parts<'_> = value.extract()?;
    let constants = match constants(&values)? {
        Ok(constants) => constants,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut functions = Vec::with_capacity(called.len());
    for value in &called {
        match function(value)? {
            Ok(function) => functions.push(function),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    let code = code.iter().map(instruction).collect::<PyResult<Vec<_>>>()?;
    Ok(Ok(Program { slots, constants, code, row_is_value, int_roots, functions }))
}

/// A function in `(name, parameters, defaults, (positional, positional_only), (slots, constants,
/// code))`, where the default of a parameter is a tuple of one value or of none.
fn function(value: &Bound<'_, PyAny>) -> PyResult<Result<Function, String>> {
    type Body<'py> = (usize, Vec<Bound<'py, PyAny>>, Vec<Bound<'py, PyTuple>>);
    type Parts<'py> = (String, Vec<String>, Vec<Vec<Bound<'py, PyAny>>>, (usize, usize), Body<'py>);
    let (name, names, defaults, (positional, positional_only), (slots, values, code)): Parts<'_> =
        value.extract()?;
    let mut parameters = Vec::with_capacity(names.len());
    for (name, default) in names.into_iter().zip(&defaults) {
        match constants(default)? {
            Ok(mut default) => parameters.push(Parameter { name, default: default.pop() }),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    let constants = match constants(&values)? {
        Ok(constants) => constants,
        Err(reason) => return Ok(Err(reason)),
    };
    let code = code.iter().map(instruction).collect::<PyResult<Vec<_>>>()?;
    Ok(Ok(Function { name, parameters, positional, positional_only, slots, constants, code }))
}

/// Immutable values; the inner error names the first for which the compiler has no form.
fn constants(values: &[Bound<'_, PyAny>]) -> PyResult<Result<Vec<Constant>, String>> {
    let mut constants = Vec::with_capacity(values.len());
    for value in values {
        match constant(value)? {
            Some(constant) => constants.push(constant),
            None => return Ok(Err(format!("it captured {}", value.repr()?))),
        }
    }
    Ok(Ok(constants))
}

/// Compiles a program for one batch and evaluates it, for the tests that compare it with Python:
/// `("ok", batch)`, `("trouble", None)` or `("declined", reason)`.
#[pyfunction(name = "_evaluate_lambda")]
pub(crate) fn evaluate_lambda<'py>(
    py: Python<'py>,
    program: &Bound<'py, PyAny>,
    kind: &str,
    batch: PyRecordBatch,
) -> PyResult<(&'static str, Bound<'py, PyAny>)> {
    let kind = match kind {
        "map" => UdfKind::Map,
        "filter" => UdfKind::Filter,
        "key" => UdfKind::Key,
        "flat_map" => UdfKind::FlatMap,
        "map_batches" => UdfKind::MapBatches,
        "map_groups" => UdfKind::MapGroups,
        unknown => return Err(unknown_name("kind", unknown)),
    };
    let program = program_from_py(program)?.map_err(PyValueError::new_err)?;
    let evaluated = evaluate_program(&program, kind, BatchFormat::Numpy, &batch.into_inner())
        .map_err(|failure| PyValueError::new_err(failure.render()))?;
    Ok(match evaluated {
        Evaluation::Done(result) => ("ok", Bound::new(py, Batch::new(result))?.into_any()),
        Evaluation::Trouble => ("trouble", py.None().into_bound(py)),
        Evaluation::Declined(decline) => {
            ("declined", PyString::new(py, &decline.reason).into_any())
        }
    })
}

/// An immutable value; `None` when the compiler has no form for it.
fn constant(value: &Bound<'_, PyAny>) -> PyResult<Option<Constant>> {
    // `bool` derives from `int`: it comes first.
    Ok(if value.is_none() {
        Some(Constant::None)
    } else if let Ok(value) = value.cast_exact::<PyBool>() {
        Some(Constant::Bool(value.is_true()))
    } else if let Ok(value) = value.cast_exact::<PyInt>() {
        value.extract().ok().map(Constant::Int)
    } else if let Ok(value) = value.cast_exact::<PyFloat>() {
        Some(Constant::Float(value.value()))
    } else if let Ok(value) = value.cast_exact::<PyString>() {
        value.extract().ok().map(Constant::Str)
    } else if let Ok(items) = value.cast_exact::<PyTuple>() {
        let items: Option<Vec<Constant>> =
            items.iter().map(|item| constant(&item)).collect::<PyResult<_>>()?;
        items.map(Constant::Tuple)
    } else if let Ok(items) = value.cast_exact::<PyFrozenSet>() {
        let items: Option<Vec<Constant>> =
            items.iter().map(|item| constant(&item)).collect::<PyResult<_>>()?;
        items.map(Constant::Set)
    } else {
        None
    })
}

fn instruction(value: &Bound<'_, PyTuple>) -> PyResult<Instruction> {
    let name: String = value.get_item(0)?.extract()?;
    let count = || value.get_item(1)?.extract::<usize>();
    let text = || value.get_item(1)?.extract::<String>();
    let flag = |index: usize| value.get_item(index)?.extract::<bool>();
    Ok(match name.as_str() {
        "load" => Instruction::Load(count()?),
        "store" => Instruction::Store(count()?),
        "constant" => Instruction::Constant(count()?),
        "column" => Instruction::Column(text()?),
        "store_column" => Instruction::StoreColumn(text()?),
        "unary" => Instruction::Unary(unary(&text()?)?),
        "binary" => Instruction::Binary { op: binary(&text()?)?, in_place: flag(2)? },
        "compare" => Instruction::Compare(compare(&text()?)?),
        "is" => Instruction::Is { negated: flag(1)? },
        "contains" => Instruction::Contains { negated: flag(1)? },
        "jump" => Instruction::Jump(count()?),
        "jump_if" => Instruction::JumpIf { target: count()?, when: flag(2)? },
        "copy" => Instruction::Copy(count()?),
        "swap" => Instruction::Swap(count()?),
        "pop" => Instruction::Pop,
        "dict" => Instruction::Dict(count()?),
        "dict_of_keys" => Instruction::DictOfKeys(value.get_item(1)?.extract()?),
        "dict_update" => Instruction::DictUpdate(count()?),
        "tuple" => Instruction::Tuple(count()?),
        "list" => Instruction::List(count()?),
        "list_extend" => Instruction::ListExtend(count()?),
        "map_add" => Instruction::MapAdd(count()?),
        "unpack" => Instruction::Unpack(count()?),
        "item" => Instruction::Item,
        "store_item" => Instruction::StoreItem,
        "delete_item" => Instruction::DeleteItem,
        "slice" => Instruction::Slice(count()?),
        "attribute" => Instruction::Attribute(text()?),
        "builtin" => {
            let name = text()?;
            let builtin = Builtin::from_name(&name);
            Instruction::Builtin(builtin.ok_or_else(|| unknown_name("function", &name))?)
        }
        "function" => Instruction::Function(count()?),
        "call" => {
            Instruction::Call { arguments: count()?, keywords: value.get_item(2)?.extract()? }
        }
        "format" => Instruction::Format { has_format: flag(1)? },
        "join" => Instruction::Join(count()?),
        "return" => Instruction::Return,
        unknown => return Err(unknown_name("instruction", unknown)),
    })
}

fn unary(symbol: &str) -> PyResult<UnaryOp> {
    Ok(match symbol {
        "-" => UnaryOp::Negative,
        "+" => UnaryOp::Positive,
        "~" => UnaryOp::Invert,
        "not" => UnaryOp::Not,
        unknown => return Err(unknown_name("unary operator", unknown)),
    })
}

fn binary(symbol: &str) -> PyResult<BinaryOp> {
    Ok(match symbol {
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Subtract,
        "*" => BinaryOp::Multiply,
        "/" => BinaryOp::Divide,
        "//" => BinaryOp::FloorDivide,
        "%" => BinaryOp::Modulo,
        "**" => BinaryOp::Power,
        "&" => BinaryOp::And,
        "|" => BinaryOp::Or,
        "^" => BinaryOp::Xor,
        unknown => return Err(unknown_name("binary operator", unknown)),
    })
}

fn compare(symbol: &str) -> PyResult<CompareOp> {
    Ok(match symbol {
        "<" => CompareOp::Less,
        "<=" => CompareOp::LessEqual,
        "==" => CompareOp::Equal,
        "!=" => CompareOp::NotEqual,
        ">" => CompareOp::Greater,
        ">=" => CompareOp::GreaterEqual,
        unknown => return Err(unknown_name("comparison", unknown)),
    })
}

fn unknown_name(what: &str, name: &str) -> PyErr {
    PyValueError::new_err(format!("unknown {what} `{name}`"))
}
