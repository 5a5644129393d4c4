//! The abstract interpreter: runs a program over terms, both ways at every branch whose
//! condition depends on the row, and joins what the ways return.

use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Expr;

use super::decline::Decline;
use super::frame::Frame;
use super::program::{Constant, Instruction, Program};
use super::returned::{Returned, RowOut};
use super::term::Term;
use super::value::{Dict, Value, malformed};
use super::{call, python};

/// Instructions that all ways through one function may take together.
const STEPS_MAX: usize = 5_000;

/// Branches on one way.
const BRANCHES_MAX: usize = 40;

/// Rows that one row may become.
const ROWS_MAX: usize = 32;

/// What a function's parameter stands for.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// A row or batch: its columns in order, or why one cannot be used.
    Columns(Vec<(String, Result<Term, Decline>)>),
    /// The value that the row consists of.
    Value(Term),
}

/// Which results a function may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A dict or a value.
    Any,
    /// The truth of a value; the row must stay as it is.
    Truth,
    /// A value; the row must stay as it is.
    Value,
    /// A list of dicts or of values.
    Rows,
}

/// Runs `program` on `argument`.
///
/// # Errors
/// A [`Decline`] when the program does something that the compiler cannot prove pure or express.
pub(super) fn run(
    program: &Program,
    argument: Argument,
    wanted: Wanted,
) -> Result<Returned, Decline> {
    let keeps_row = matches!(wanted, Wanted::Truth | Wanted::Value);
    let (first, row) = match argument {
        Argument::Columns(entries) => (Value::Dict(0), Dict { entries }),
        Argument::Value(term) => (Value::Term(term), Dict::default()),
    };
    let frame = Frame::start(program, first, row, keeps_row);
    Interpreter { program, wanted, steps_left: STEPS_MAX }.follow(frame)
}

struct Interpreter<'a> {
    program: &'a Program,
    wanted: Wanted,
    steps_left: usize,
}

impl<'a> Interpreter<'a> {
    /// The body that a frame is in.
    fn body(&self, frame: &Frame) -> Result<(&'a [Instruction], &'a [Constant]), Decline> {
        Ok(match frame.function {
            None => (&self.program.code, &self.program.constants),
            Some(index) => {
                let function = self.program.functions.get(index).ok_or_else(malformed)?;
                (&function.code, &function.constants)
            }
        })
    }

    /// Follows one way to its end, and the ways that branch off it.
    fn follow(&mut self, mut frame: Frame) -> Result<Returned, Decline> {
        loop {
            self.steps_left = self
                .steps_left
                .checked_sub(1)
                .ok_or_else(|| Decline::new("it has too many branches"))?;
            let (code, constants) = self.body(&frame)?;
            let instruction = code.get(frame.at).ok_or_else(malformed)?;
            frame.at += 1;
            match instruction {
                Instruction::Return => {
                    if !frame.leave()? {
                        return self.finish(frame);
                    }
                }
                Instruction::Jump(target) => frame.at = *target,
                Instruction::JumpIf { target, when } => {
                    let condition = frame.pop_truth()?;
                    match frame.known_truth(&condition) {
                        Some(truth) if truth == *when => frame.at = *target,
                        Some(_) => {}
                        None => return self.branch(frame, &condition, *target, *when),
                    }
                }
                Instruction::Call { arguments, keywords } => {
                    call::call(&mut frame, &self.program.functions, *arguments, keywords)?;
                }
                other => frame.step(other, constants)?,
            }
        }
    }

    /// Follows both ways from a jump on `condition`.
    fn branch(
        &mut self,
        mut onward: Frame,
        condition: &Term,
        target: usize,
        when: bool,
    ) -> Result<Returned, Decline> {
        if onward.known.len() >= BRANCHES_MAX {
            return Err(Decline::new("it has too many branches"));
        }
        let mut jumped = onward.clone();
        jumped.at = target;
        jumped.known.push((condition.expr.clone(), when));
        onward.known.push((condition.expr.clone(), !when));
        let jumped = self.follow(jumped)?;
        let onward = self.follow(onward)?;
        let (then, otherwise) = if when { (jumped, onward) } else { (onward, jumped) };
        Returned::choose(condition, then, otherwise)
    }

    /// Ends one way.
    fn finish(&self, mut frame: Frame) -> Result<Returned, Decline> {
        let returned = match (frame.pop()?, self.wanted) {
            (Value::Sequence(rows), Wanted::Rows) => Self::rows(&frame, rows.items)?,
            (Value::Term(term), Wanted::Truth) => {
                let truth = python::truth(&term)?;
                let known = frame.known_truth(&truth);
                Returned::Value(known.map_or(truth, Term::truth))
            }
            (Value::Sequence(_), Wanted::Any) => {
                return Err(Decline::new("it returns a list or tuple"));
            }
            (Value::Dict(_), Wanted::Truth | Wanted::Value) => {
                return Err(Decline::new("it returns a dict where a value is expected"));
            }
            (_, Wanted::Rows) => {
                return Err(Decline::new("it returns something other than a list of rows"));
            }
            (value, _) => Self::one(&frame, value)?,
        };
        let results = returned.exprs();
        let kept = |operation: &Expr| {
            results.iter().any(|expr| holds(expr, operation))
                || frame.known.iter().any(|(condition, _)| holds(condition, operation))
        };
        // The outer ones come last and hold the inner ones.
        let mut unused: Vec<Expr> = Vec::new();
        for operation in frame.evaluated.iter().rev() {
            let is_part = unused.iter().any(|outer| holds(outer, operation));
            if !is_part && !kept(operation) {
                unused.push(operation.clone());
            }
        }
        returned.after(unused)
    }

    /// A dict or a value.
    fn one(frame: &Frame, value: Value) -> Result<Returned, Decline> {
        match value {
            Value::Dict(dict) => {
                let dict = frame.dicts.get(dict).ok_or_else(malformed)?;
                dict.columns().map(Returned::Columns)
            }
            other => other.into_term().map(Returned::Value),
        }
    }

    /// The rows of a list.
    fn rows(frame: &Frame, items: Vec<Value>) -> Result<Returned, Decline> {
        if items.len() > ROWS_MAX {
            return Err(Decline::new(format!("its list has more than {ROWS_MAX} rows")));
        }
        let rows = items.into_iter().map(|item| {
            Ok(RowOut { present: Term::truth(true), content: Self::one(frame, item)? })
        });
        rows.collect::<Result<_, _>>().map(Returned::Rows)
    }
}

/// Whether an expression evaluates `operation`.
fn holds(expr: &Expr, operation: &Expr) -> bool {
    expr.exists(|part| Ok(part == operation)).unwrap_or(false)
}
