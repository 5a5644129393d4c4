//! The lambda compiler: proves that a small Python function is pure and equivalent to
//! expressions, and builds them.
//!
//! A front end translates a function to a [`Program`]: version-neutral instructions of a stack
//! machine, with the immutable values that the function captured. [`compile`] runs the program
//! once over abstract values, following both sides of every branch, and builds one expression
//! for each result in the same pass. What it does not know it declines, with the reason.
//!
//! Expressions are made of two families of functions: `py_*` mean what Python's scalar operators
//! mean, `np_*` what NumPy's array operators mean. Each computes a value only where that value
//! is certain. A row where Python would raise, warn, or leave 64 bits (overflow, a null operand,
//! division by zero) makes the whole evaluation fail with [`Trouble`]: the caller then hands the
//! batch to Python, so that the result or the exception is exactly Python's.

mod compile;
mod decline;
mod function;
mod interpreter;
mod kernel;
mod numpy;
mod program;
mod python;
mod term;

pub use compile::{Compiled, GROUP_KEY_COLUMN, Output, compile};
pub use decline::Decline;
pub use kernel::Trouble;
pub use program::{BinaryOp, CompareOp, Constant, Instruction, Program, UnaryOp};

#[cfg(test)]
mod tests;
