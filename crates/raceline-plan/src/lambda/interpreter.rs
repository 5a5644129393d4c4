//! The abstract interpreter: runs a program over terms, both ways at every branch whose
//! condition depends on the row, and joins what the ways return.

use datafusion_common::tree_node::TreeNode;
use datafusion_expr::Expr;

use super::decline::Decline;
use super::program::{Constant, Instruction, Program};
use super::term::Term;
use super::{numpy, python};

/// Instructions that all ways through one function may take together.
const STEPS_MAX: usize = 5_000;

/// Branches on one way.
const BRANCHES_MAX: usize = 40;

/// What a function's parameter stands for.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// A row or batch: its columns in order, or why one cannot be used.
    Columns(Vec<(String, Result<Term, Decline>)>),
    /// The value that the row consists of.
    Value(Term),
}

/// What a function returns.
#[derive(Clone, Debug)]
pub(super) enum Returned {
    /// A dict.
    Columns(Vec<(String, Term)>),
    /// A scalar or array.
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
}

/// A value on the stack.
#[derive(Clone, Debug)]
enum Value {
    /// The row or batch itself, whose columns the frame holds.
    Argument,
    Term(Term),
    Dict(Vec<(String, Term)>),
    Tuple(Vec<Term>),
}

/// One way through the program so far.
#[derive(Clone)]
struct Frame {
    at: usize,
    stack: Vec<Value>,
    slots: Vec<Option<Value>>,
    argument: Argument,
    /// Conditions that were taken, with the truth they have on this way.
    known: Vec<(Expr, bool)>,
    /// Operations that Python evaluates on this way and that can raise.
    evaluated: Vec<Expr>,
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
    let mut slots = vec![None; program.slots];
    let first = slots.first_mut().ok_or_else(malformed)?;
    *first = Some(match &argument {
        Argument::Columns(_) => Value::Argument,
        Argument::Value(term) => Value::Term(term.clone()),
    });
    let frame = Frame {
        at: 0,
        stack: Vec::new(),
        slots,
        argument,
        known: Vec::new(),
        evaluated: Vec::new(),
    };
    Interpreter { program, wanted, steps_left: STEPS_MAX }.follow(frame)
}

struct Interpreter<'a> {
    program: &'a Program,
    wanted: Wanted,
    steps_left: usize,
}

impl Interpreter<'_> {
    /// Follows one way to its end, and the ways that branch off it.
    fn follow(&mut self, mut frame: Frame) -> Result<Returned, Decline> {
        loop {
            self.steps_left = self
                .steps_left
                .checked_sub(1)
                .ok_or_else(|| Decline::new("it has too many branches"))?;
            let instruction = self.program.code.get(frame.at).ok_or_else(malformed)?;
            frame.at += 1;
            match instruction {
                Instruction::Return => return self.finish(frame),
                Instruction::Jump(target) => frame.at = *target,
                Instruction::JumpIf { target, when } => {
                    let condition = frame.pop_truth()?;
                    match frame.known_truth(&condition) {
                        Some(truth) if truth == *when => frame.at = *target,
                        Some(_) => {}
                        None => return self.branch(frame, &condition, *target, *when),
                    }
                }
                Instruction::StoreColumn(name) => {
                    if self.wanted != Wanted::Any {
                        return Err(Decline::new("it changes the row"));
                    }
                    frame.store_column(name)?;
                }
                other => frame.step(other, &self.program.constants)?,
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
        choose(condition, then, otherwise)
    }

    /// Ends one way.
    fn finish(&self, mut frame: Frame) -> Result<Returned, Decline> {
        let returned = match (frame.pop()?, self.wanted) {
            (Value::Term(term), Wanted::Truth) => {
                let truth = python::truth(&term)?;
                let known = frame.known_truth(&truth);
                Returned::Value(known.map_or(truth, Term::truth))
            }
            (Value::Term(term), _) => Returned::Value(term),
            (Value::Argument, Wanted::Any) => Returned::Columns(frame.argument_columns()?),
            (Value::Dict(columns), Wanted::Any) => Returned::Columns(columns),
            (Value::Tuple(_), _) => return Err(Decline::new("it returns a tuple")),
            (Value::Argument | Value::Dict(_), _) => {
                return Err(Decline::new("it returns a dict where a value is expected"));
            }
        };
        let results: Vec<&Expr> = match &returned {
            Returned::Columns(columns) => columns.iter().map(|(_, term)| &term.expr).collect(),
            Returned::Value(term) => vec![&term.expr],
        };
        let kept = |operation: &Expr| {
            let holds = |expr: &Expr| expr.exists(|part| Ok(part == operation)).unwrap_or(false);
            results.iter().any(|expr| holds(expr))
                || frame.known.iter().any(|(condition, _)| holds(condition))
        };
        if frame.evaluated.iter().all(kept) {
            Ok(returned)
        } else {
            Err(Decline::new("it computes a value that it does not use"))
        }
    }
}

impl Frame {
    /// Everything but control flow.
    fn step(&mut self, instruction: &Instruction, constants: &[Constant]) -> Result<(), Decline> {
        match instruction {
            Instruction::Load(slot) => {
                let value = self.slots.get(*slot).ok_or_else(malformed)?;
                let value = value
                    .clone()
                    .ok_or_else(|| Decline::new("it may use a variable before it is set"))?;
                self.stack.push(value);
            }
            Instruction::Store(slot) => {
                let value = self.pop()?;
                *self.slots.get_mut(*slot).ok_or_else(malformed)? = Some(value);
            }
            Instruction::Constant(index) => {
                let constant = constants.get(*index).ok_or_else(malformed)?;
                self.stack.push(constant_value(constant)?);
            }
            Instruction::Column(name) => self.load_column(name)?,
            Instruction::Unary(op) => {
                let operand = self.pop_term()?;
                let result = if operand.array {
                    numpy::unary(*op, &operand)?
                } else {
                    python::unary(*op, &operand)?
                };
                self.push_evaluated(result);
            }
            Instruction::Binary { op, in_place } => {
                let (left, right) = self.pop_pair()?;
                if *in_place && left.array {
                    return Err(Decline::new("it changes an array in place"));
                }
                let result = if left.array || right.array {
                    numpy::binary(*op, &left, &right)?
                } else {
                    python::binary(*op, &left, &right)?
                };
                self.push_evaluated(result);
            }
            Instruction::Compare(op) => {
                let (left, right) = self.pop_pair()?;
                let result = if left.array || right.array {
                    numpy::compare(*op, &left, &right)?
                } else {
                    python::compare(*op, &left, &right)?
                };
                self.push_evaluated(result);
            }
            Instruction::Is { negated } => self.compare_identity(*negated)?,
            Instruction::Contains { negated } => self.test_membership(*negated)?,
            other => self.rearrange(other)?,
        }
        Ok(())
    }

    /// Instructions that only move values or build containers.
    fn rearrange(&mut self, instruction: &Instruction) -> Result<(), Decline> {
        match instruction {
            Instruction::Copy(depth) => {
                let index = self.index_from_top(*depth)?;
                self.stack.push(self.stack[index].clone());
            }
            Instruction::Swap(depth) => {
                let (index, top) = (self.index_from_top(*depth)?, self.index_from_top(1)?);
                self.stack.swap(index, top);
            }
            Instruction::Pop => drop(self.pop()?),
            Instruction::Dict(entries) => {
                let mut pairs = Vec::new();
                for _ in 0..*entries {
                    let value = self.pop_term()?;
                    pairs.push((self.pop_name()?, value));
                }
                let mut columns = Vec::new();
                for (name, value) in pairs.into_iter().rev() {
                    set_entry(&mut columns, &name, value);
                }
                self.stack.push(Value::Dict(columns));
            }
            Instruction::DictOfKeys(names) => {
                let values = self.pop_terms(names.len())?;
                let mut columns = Vec::new();
                for (name, value) in names.iter().zip(values) {
                    set_entry(&mut columns, name, value);
                }
                self.stack.push(Value::Dict(columns));
            }
            Instruction::DictUpdate(depth) => {
                let added = match self.pop()? {
                    Value::Argument => self.argument_columns()?,
                    Value::Dict(columns) => columns,
                    Value::Term(_) | Value::Tuple(_) => {
                        return Err(Decline::new("it unpacks something other than a dict"));
                    }
                };
                let index = self.index_from_top(*depth)?;
                let Value::Dict(columns) = &mut self.stack[index] else {
                    return Err(malformed());
                };
                for (name, value) in added {
                    set_entry(columns, &name, value);
                }
            }
            Instruction::Tuple(items) => {
                let items = self.pop_terms(*items)?;
                self.stack.push(Value::Tuple(items));
            }
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn load_column(&mut self, name: &str) -> Result<(), Decline> {
        let term = match (self.pop()?, &self.argument) {
            (Value::Argument, Argument::Columns(columns)) => find_column(columns, name)?,
            (Value::Dict(columns), _) => {
                let entry = columns.into_iter().find(|(known, _)| known == name);
                entry.ok_or_else(|| missing(name))?.1
            }
            _ => return Err(Decline::new(format!("it takes `[\"{name}\"]` of a value"))),
        };
        self.stack.push(Value::Term(term));
        Ok(())
    }

    fn store_column(&mut self, name: &str) -> Result<(), Decline> {
        let target = self.pop()?;
        let value = self.pop_term()?;
        let (Value::Argument, Argument::Columns(columns)) = (target, &mut self.argument) else {
            return Err(Decline::new("it changes a dict other than its row or batch"));
        };
        match columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, entry)) => *entry = Ok(value),
            None => columns.push((name.to_owned(), Ok(value))),
        }
        Ok(())
    }

    fn compare_identity(&mut self, negated: bool) -> Result<(), Decline> {
        let (right, left) = (self.pop()?, self.pop()?);
        let result = match (left, right) {
            (Value::Term(term), Value::Term(none)) | (Value::Term(none), Value::Term(term))
                if none.constant == Some(Constant::None) =>
            {
                python::is_none(&term)?
            }
            (_, Value::Term(none)) if none.constant == Some(Constant::None) => Term::truth(false),
            _ => return Err(Decline::new("it uses `is` with something other than None")),
        };
        self.push_negated(result, negated)
    }

    fn test_membership(&mut self, negated: bool) -> Result<(), Decline> {
        let container = self.pop()?;
        let item = self.pop_term()?;
        let result = match container {
            Value::Tuple(choices) if !item.array => python::is_among(&item, &choices)?,
            Value::Term(container) => python::contains(&container, &item)?,
            _ => return Err(Decline::new("it uses `in` with something other than str or tuple")),
        };
        self.evaluated.push(result.expr.clone());
        self.push_negated(result, negated)
    }

    fn push_negated(&mut self, truth: Term, negated: bool) -> Result<(), Decline> {
        let result =
            if negated { python::unary(super::program::UnaryOp::Not, &truth)? } else { truth };
        self.stack.push(Value::Term(result));
        Ok(())
    }

    fn push_evaluated(&mut self, result: Term) {
        if result.constant.is_none() {
            self.evaluated.push(result.expr.clone());
        }
        self.stack.push(Value::Term(result));
    }

    /// All columns of the row or batch as they are now.
    fn argument_columns(&self) -> Result<Vec<(String, Term)>, Decline> {
        match &self.argument {
            Argument::Columns(columns) => {
                columns.iter().map(|(name, entry)| Ok((name.clone(), entry.clone()?))).collect()
            }
            Argument::Value(_) => Err(malformed()),
        }
    }

    /// The truth of `condition`, when it is the same for all rows that come this way.
    fn known_truth(&self, condition: &Term) -> Option<bool> {
        if let Some(Constant::Bool(value)) = condition.constant {
            return Some(value);
        }
        let known = self.known.iter().find(|(expr, _)| *expr == condition.expr);
        known.map(|&(_, truth)| truth)
    }

    fn pop(&mut self) -> Result<Value, Decline> {
        self.stack.pop().ok_or_else(malformed)
    }

    fn pop_term(&mut self) -> Result<Term, Decline> {
        match self.pop()? {
            Value::Term(term) => Ok(term),
            Value::Argument => Err(Decline::new("it uses the whole row or batch as an operand")),
            Value::Dict(_) => Err(Decline::new("it uses a dict as an operand")),
            Value::Tuple(_) => Err(Decline::new("it uses a tuple as an operand")),
        }
    }

    fn pop_pair(&mut self) -> Result<(Term, Term), Decline> {
        let right = self.pop_term()?;
        Ok((self.pop_term()?, right))
    }

    fn pop_terms(&mut self, count: usize) -> Result<Vec<Term>, Decline> {
        let mut terms = (0..count).map(|_| self.pop_term()).collect::<Result<Vec<_>, _>>()?;
        terms.reverse();
        Ok(terms)
    }

    fn pop_name(&mut self) -> Result<String, Decline> {
        match self.pop_term()?.constant {
            Some(Constant::Str(name)) => Ok(name),
            _ => Err(Decline::new("it builds a dict whose keys are not constant strings")),
        }
    }

    fn pop_truth(&mut self) -> Result<Term, Decline> {
        match self.pop()? {
            Value::Term(term) => python::truth(&term),
            Value::Dict(columns) => Ok(Term::truth(!columns.is_empty())),
            Value::Tuple(items) => Ok(Term::truth(!items.is_empty())),
            Value::Argument => Err(Decline::new("it takes the whole row or batch as a condition")),
        }
    }

    /// Index of the value that is `depth`-th from the top, counted from 1.
    fn index_from_top(&self, depth: usize) -> Result<usize, Decline> {
        if depth == 0 {
            return Err(malformed());
        }
        self.stack.len().checked_sub(depth).ok_or_else(malformed)
    }
}

/// Joins what two ways return.
fn choose(condition: &Term, then: Returned, otherwise: Returned) -> Result<Returned, Decline> {
    match (then, otherwise) {
        (Returned::Value(then), Returned::Value(otherwise)) => {
            Term::choose(condition, &then, &otherwise).map(Returned::Value)
        }
        (Returned::Columns(then), Returned::Columns(otherwise)) => {
            let names = |columns: &[(String, Term)]| -> Vec<String> {
                columns.iter().map(|(name, _)| name.clone()).collect()
            };
            if names(&then) != names(&otherwise) {
                return Err(Decline::new("its dicts have different keys"));
            }
            // The condition itself can raise, so at least one column evaluates it.
            let all_equal = then == otherwise;
            let joined = then.into_iter().zip(otherwise).enumerate().map(
                |(index, ((name, then), (_, otherwise)))| {
                    if then == otherwise && !(all_equal && index == 0) {
                        return Ok((name, then));
                    }
                    Ok((name, Term::choose(condition, &then, &otherwise)?))
                },
            );
            joined.collect::<Result<_, _>>().map(Returned::Columns)
        }
        _ => Err(Decline::new("its result is a dict for some rows and a value for others")),
    }
}

fn constant_value(constant: &Constant) -> Result<Value, Decline> {
    let nested = || Decline::new("it uses a nested tuple");
    match constant {
        Constant::Tuple(items) => {
            let items: Option<Vec<_>> = items.iter().map(Term::constant).collect();
            items.map(Value::Tuple).ok_or_else(nested)
        }
        scalar => Term::constant(scalar).map(Value::Term).ok_or_else(nested),
    }
}

/// Sets an entry as Python's dict does: a key keeps its first place and its last value.
fn set_entry(columns: &mut Vec<(String, Term)>, name: &str, value: Term) {
    match columns.iter_mut().find(|(known, _)| known == name) {
        Some((_, entry)) => *entry = value,
        None => columns.push((name.to_owned(), value)),
    }
}

fn find_column(columns: &[(String, Result<Term, Decline>)], name: &str) -> Result<Term, Decline> {
    let entry = columns.iter().find(|(known, _)| known == name);
    entry.ok_or_else(|| missing(name))?.1.clone()
}

fn missing(name: &str) -> Decline {
    Decline::new(format!("there is no column `{name}`"))
}

fn malformed() -> Decline {
    Decline::new("its translation is malformed")
}
