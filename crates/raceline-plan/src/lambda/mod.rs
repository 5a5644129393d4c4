//! The lambda compiler: proves that a small Python function is pure and equivalent to
//! expressions, and builds them.
//!
//! A front end translates a function to a [`Program`]: version-neutral instructions of a stack
//! machine, with the immutable values that the function captured and the functions that it calls.
//! [`compile`] runs the program once over abstract values, following both sides of every branch
//! and into every function, and builds one expression for each result in the same pass. What it
//! does not know it declines, with the reason.
//!
//! Expressions are made of two families of functions: `py_*` mean what Python's operators,
//! built-in functions and methods mean, `np_*` what those of NumPy's arrays mean. Each computes a
//! value only where that value is certain. A row where Python would raise, warn, or leave 64 bits
//! (overflow, a null operand, division by zero), and a text whose meaning depends on the version
//! of Unicode, makes the whole evaluation fail with [`Trouble`]: the caller then hands the batch
//! to Python, so that the result or the exception is exactly Python's.

mod array;
mod builtin;
mod calendar;
mod call;
mod compile;
mod convert;
mod decline;
mod format;
mod frame;
mod function;
mod interpreter;
mod kernel;
mod mapping;
mod mathematics;
mod numpy;
mod program;
mod python;
mod returned;
mod term;
mod text;
mod value;

pub use builtin::{Builtin, Element, Math, Numpy};
pub use compile::{Compiled, GROUP_KEY_COLUMN, Output, OutputRow, compile};
pub use decline::Decline;
pub use kernel::Trouble;
pub use program::{
    BinaryOp, CompareOp, Constant, Function, Instruction, Parameter, Program, UnaryOp,
};

#[cfg(test)]
mod tests;
