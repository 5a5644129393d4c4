//! One way through a program: its stack, its variables, its dicts, and what it has evaluated.

use datafusion_expr::Expr;

use super::decline::Decline;
use super::program::{BinaryOp, Constant, Function, Instruction, Program, UnaryOp};
use super::term::Term;
use super::value::{Dict, Sequence, Value, malformed};
use super::{call, format, numpy, python, text};

/// Functions of the user that may call one another at a time.
const DEPTH_MAX: usize = 8;

/// One way through the program so far.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) at: usize,
    /// The function that is running, by its index; the program itself when there is none.
    pub(super) function: Option<usize>,
    pub(super) stack: Vec<Value>,
    pub(super) slots: Vec<Option<Value>>,
    /// Who waits for the running function, the innermost one last.
    callers: Vec<Caller>,
    /// All dicts that were made. The first one is the row or batch, empty when that is a value.
    pub(super) dicts: Vec<Dict>,
    /// Whether the row must stay as it is.
    pub(super) keeps_row: bool,
    /// As in the program.
    int_roots: bool,
    /// Conditions that were taken, with the truth they have on this way.
    pub(super) known: Vec<(Expr, bool)>,
    /// Operations that Python evaluates on this way and that can raise.
    pub(super) evaluated: Vec<Expr>,
}

/// A function that waits for another one to return.
#[derive(Clone)]
struct Caller {
    at: usize,
    function: Option<usize>,
    stack: Vec<Value>,
    slots: Vec<Option<Value>>,
}

impl Frame {
    /// The start of a program with the row or batch `argument`, whose entries are those of `row`.
    pub(super) fn start(program: &Program, argument: Value, row: Dict, keeps_row: bool) -> Self {
        let mut slots = vec![None; program.slots.max(1)];
        slots[0] = Some(argument);
        Self {
            at: 0,
            function: None,
            stack: Vec::new(),
            slots,
            callers: Vec::new(),
            dicts: vec![row],
            keeps_row,
            int_roots: program.int_roots,
            known: Vec::new(),
            evaluated: Vec::new(),
        }
    }

    /// Everything but control flow.
    pub(super) fn step(
        &mut self,
        instruction: &Instruction,
        constants: &[Constant],
    ) -> Result<(), Decline> {
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
                value.check_kept()?;
                *self.slots.get_mut(*slot).ok_or_else(malformed)? = Some(value);
            }
            Instruction::Constant(index) => {
                let constant = constants.get(*index).ok_or_else(malformed)?;
                self.stack.push(Value::constant(constant));
            }
            Instruction::Unary(UnaryOp::Not) => {
                let truth = self.pop_truth()?;
                self.push_evaluated(python::unary(UnaryOp::Not, &truth)?);
            }
            Instruction::Unary(op) => {
                let operand = self.pop_term()?;
                let result = if operand.array {
                    numpy::unary(*op, &operand)?
                } else {
                    python::unary(*op, &operand)?
                };
                self.push_evaluated(result);
            }
            Instruction::Binary { op, in_place } => self.operate(*op, *in_place)?,
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
            Instruction::Format { has_format } => self.format(*has_format)?,
            Instruction::Join(parts) => {
                let parts = self.pop_terms(*parts)?;
                let joined = text::join(&Term::scalar(&Constant::Str(String::new())), &parts)?;
                self.push_evaluated(joined);
            }
            Instruction::Builtin(builtin) => self.stack.push(Value::Builtin(*builtin)),
            Instruction::Function(index) => self.stack.push(Value::Function(*index)),
            Instruction::Attribute(name) => {
                let receiver = self.pop()?;
                let value = call::attribute(self, receiver, name)?;
                self.stack.push(value);
            }
            other => self.arrange(other)?,
        }
        Ok(())
    }

    /// Instructions on items and containers.
    fn arrange(&mut self, instruction: &Instruction) -> Result<(), Decline> {
        match instruction {
            Instruction::Column(name) => self.load_entry(name),
            Instruction::StoreColumn(name) => self.store_entry(name),
            Instruction::Item => {
                let key = self.pop()?;
                match key.as_constant() {
                    Some(Constant::Str(name)) => self.load_entry(&name.clone()),
                    _ => self.load_item(key),
                }
            }
            Instruction::StoreItem => match self.pop()?.as_constant() {
                Some(Constant::Str(name)) => self.store_entry(&name.clone()),
                _ => Err(Decline::new("it sets an item by something other than a column's name")),
            },
            Instruction::DeleteItem => self.delete_entry(),
            Instruction::Dict(_)
            | Instruction::DictOfKeys(_)
            | Instruction::DictUpdate(_)
            | Instruction::MapAdd(_) => self.build_dict(instruction),
            Instruction::Tuple(items) => self.build_sequence(*items, false),
            Instruction::List(items) => self.build_sequence(*items, true),
            Instruction::ListExtend(depth) => {
                let Value::Sequence(added) = self.pop()? else {
                    return Err(Decline::new("it unpacks something other than a tuple or list"));
                };
                let index = self.index_from_top(*depth)?;
                let Value::Sequence(list) = &mut self.stack[index] else {
                    return Err(malformed());
                };
                list.items.extend(added.items);
                Ok(())
            }
            Instruction::Unpack(count) => match self.pop()? {
                Value::Sequence(sequence) if sequence.items.len() == *count => {
                    self.stack.extend(sequence.items.into_iter().rev());
                    Ok(())
                }
                _ => Err(Decline::new("it unpacks something other than a tuple of that length")),
            },
            Instruction::Slice(bounds) => {
                let bounds = self.pop_terms(*bounds)?;
                self.stack.push(Value::Slice(bounds));
                Ok(())
            }
            other => self.rearrange(other),
        }
    }

    /// Instructions that only move values.
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
            Instruction::Pop => self.pop()?.check_kept()?,
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn build_sequence(&mut self, count: usize, is_list: bool) -> Result<(), Decline> {
        let first = self.stack.len().checked_sub(count).ok_or_else(malformed)?;
        let items = self.stack.split_off(first);
        items.iter().try_for_each(Value::check_kept)?;
        self.stack.push(Value::Sequence(Sequence { items, is_list }));
        Ok(())
    }

    fn operate(&mut self, op: BinaryOp, in_place: bool) -> Result<(), Decline> {
        let (right, left) = (self.pop()?, self.pop()?);
        if let (Value::Dict(left), Value::Dict(right)) = (&left, &right)
            && op == BinaryOp::Or
        {
            let (left, right) = (*left, *right);
            if in_place {
                self.update(left, right)?;
                self.stack.push(Value::Dict(left));
                return Ok(());
            }
            let copy = self.dicts.get(left).ok_or_else(malformed)?.clone();
            self.push_dict(copy);
            return self.update(self.dicts.len() - 1, right);
        }
        let (left, right) = (left.into_term()?, right.into_term()?);
        if in_place && left.array {
            return Err(Decline::new("it changes an array in place"));
        }
        let result = if left.array || right.array {
            numpy::binary(op, &left, &right, self.int_roots)?
        } else {
            python::binary(op, &left, &right)?
        };
        self.push_evaluated(result);
        Ok(())
    }

    /// `container[key]` where the key is no constant string.
    fn load_item(&mut self, key: Value) -> Result<(), Decline> {
        match (self.pop()?, key) {
            (Value::Sequence(sequence), key) => {
                let item = match key.as_constant() {
                    Some(Constant::Int(index)) => {
                        let length = i64::try_from(sequence.items.len()).unwrap_or(i64::MAX);
                        let index = if *index < 0 { index.saturating_add(length) } else { *index };
                        usize::try_from(index).ok().and_then(|at| sequence.items.get(at).cloned())
                    }
                    _ => None,
                };
                let item = item.ok_or_else(|| {
                    Decline::new("it takes an item of a tuple by something other than its index")
                })?;
                self.stack.push(item);
            }
            (Value::Dict(_), _) => {
                return Err(Decline::new(
                    "it takes an item by something other than a column's name",
                ));
            }
            (container, Value::Slice(bounds)) => {
                let sliced = text::slice(&container.into_term()?, &bounds)?;
                self.push_evaluated(sliced);
            }
            (container, key) => {
                let (container, key) = (container.into_term()?, key.into_term()?);
                let item = if container.array {
                    numpy::select(&container, &key)?
                } else {
                    text::item(&container, &key)?
                };
                self.push_evaluated(item);
            }
        }
        Ok(())
    }

    fn compare_identity(&mut self, negated: bool) -> Result<(), Decline> {
        let (right, left) = (self.pop()?, self.pop()?);
        let result = match (left, right) {
            (Value::Term(term), none) | (none, Value::Term(term)) if none.is_none() => {
                python::is_none(&term)?
            }
            (_, none) if none.is_none() => Term::truth(false),
            _ => return Err(Decline::new("it uses `is` with something other than None")),
        };
        self.push_negated(result, negated)
    }

    fn test_membership(&mut self, negated: bool) -> Result<(), Decline> {
        let (container, item) = (self.pop()?, self.pop()?);
        let result = match (container, item) {
            (Value::Dict(dict), key) => {
                let Some(Constant::Str(name)) = key.as_constant() else {
                    return Err(Decline::new("it looks for a computed key in a dict"));
                };
                let dict = self.dicts.get(dict).ok_or_else(malformed)?;
                Term::truth(dict.get(name).is_some())
            }
            (Value::Sequence(Sequence { items: choices, .. }) | Value::Set(choices), item) => {
                let choices = choices.into_iter().map(Value::into_term);
                let choices = choices.collect::<Result<Vec<_>, _>>()?;
                python::is_among(&item.into_term()?, &choices)?
            }
            (container, item) => python::contains(&container.into_term()?, &item.into_term()?)?,
        };
        if result.constant.is_none() {
            self.evaluated.push(result.expr.clone());
        }
        self.push_negated(result, negated)
    }

    fn format(&mut self, has_format: bool) -> Result<(), Decline> {
        let format = if has_format { Some(self.pop_term()?) } else { None };
        let value = self.pop_term()?;
        let result = format::format(&value, format.as_ref())?;
        self.push_evaluated(result);
        Ok(())
    }

    fn push_negated(&mut self, truth: Term, negated: bool) -> Result<(), Decline> {
        let result = if negated { python::unary(UnaryOp::Not, &truth)? } else { truth };
        self.stack.push(Value::Term(result));
        Ok(())
    }

    /// Pushes what an operation computes, which has to be kept because it may raise.
    pub(super) fn push_evaluated(&mut self, result: Term) {
        if result.constant.is_none() {
            self.evaluated.push(result.expr.clone());
        }
        self.stack.push(Value::Term(result));
    }

    /// The truth of `condition`, when it is the same for all rows that come this way.
    pub(super) fn known_truth(&self, condition: &Term) -> Option<bool> {
        if let Some(Constant::Bool(value)) = condition.constant {
            return Some(value);
        }
        let known = self.known.iter().find(|(expr, _)| *expr == condition.expr);
        known.map(|&(_, truth)| truth)
    }

    /// Goes on in `function`, whose index is `index`, with its parameters in its slots.
    pub(super) fn enter(
        &mut self,
        index: usize,
        function: &Function,
        parameters: Vec<Value>,
    ) -> Result<(), Decline> {
        if self.callers.len() >= DEPTH_MAX {
            return Err(Decline::new(format!("its calls of `{}` are too deep", function.name)));
        }
        let mut slots = vec![None; function.slots.max(parameters.len())];
        for (slot, value) in slots.iter_mut().zip(parameters) {
            *slot = Some(value);
        }
        self.callers.push(Caller {
            at: std::mem::take(&mut self.at),
            function: self.function.replace(index),
            stack: std::mem::take(&mut self.stack),
            slots: std::mem::replace(&mut self.slots, slots),
        });
        Ok(())
    }

    /// Goes back to the function that called the running one, with what that returns. False when
    /// the program itself ends.
    pub(super) fn leave(&mut self) -> Result<bool, Decline> {
        let Some(Caller { at, function, stack, slots }) = self.callers.pop() else {
            return Ok(false);
        };
        let returned = self.pop()?;
        (self.at, self.function, self.stack, self.slots) = (at, function, stack, slots);
        self.stack.push(returned);
        Ok(true)
    }

    pub(super) fn pop(&mut self) -> Result<Value, Decline> {
        self.stack.pop().ok_or_else(malformed)
    }

    pub(super) fn pop_term(&mut self) -> Result<Term, Decline> {
        self.pop()?.into_term()
    }

    fn pop_pair(&mut self) -> Result<(Term, Term), Decline> {
        let right = self.pop_term()?;
        Ok((self.pop_term()?, right))
    }

    pub(super) fn pop_terms(&mut self, count: usize) -> Result<Vec<Term>, Decline> {
        let mut terms = (0..count).map(|_| self.pop_term()).collect::<Result<Vec<_>, _>>()?;
        terms.reverse();
        Ok(terms)
    }

    pub(super) fn pop_name(&mut self) -> Result<String, Decline> {
        match self.pop_term()?.constant {
            Some(Constant::Str(name)) => Ok(name),
            _ => Err(Decline::new("it builds a dict whose keys are not constant strings")),
        }
    }

    /// The truth of the top value.
    pub(super) fn pop_truth(&mut self) -> Result<Term, Decline> {
        match self.pop()? {
            Value::Term(term) => python::truth(&term),
            Value::Dict(0) => Err(Decline::new("it takes the whole row or batch as a condition")),
            Value::Dict(dict) => {
                let dict = self.dicts.get(dict).ok_or_else(malformed)?;
                Ok(Term::truth(!dict.entries.is_empty()))
            }
            Value::Sequence(Sequence { items, .. }) | Value::Set(items) => {
                Ok(Term::truth(!items.is_empty()))
            }
            other => other.into_term(),
        }
    }

    /// Index of the value that is `depth`-th from the top, counted from 1.
    pub(super) fn index_from_top(&self, depth: usize) -> Result<usize, Decline> {
        if depth == 0 {
            return Err(malformed());
        }
        self.stack.len().checked_sub(depth).ok_or_else(malformed)
    }
}
