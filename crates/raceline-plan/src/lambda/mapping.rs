//! Dicts: rows, batches, and what a function builds.

use super::decline::Decline;
use super::frame::Frame;
use super::program::{Constant, Instruction};
use super::term::Term;
use super::value::{Dict, Value, malformed, missing};

impl Frame {
    pub(super) fn build_dict(&mut self, instruction: &Instruction) -> Result<(), Decline> {
        match instruction {
            Instruction::Dict(entries) => {
                let mut pairs = Vec::new();
                for _ in 0..*entries {
                    let value = self.pop_term()?;
                    pairs.push((self.pop_name()?, value));
                }
                let mut dict = Dict::default();
                for (name, value) in pairs.into_iter().rev() {
                    dict.set(&name, Ok(value));
                }
                self.push_dict(dict);
            }
            Instruction::DictOfKeys(names) => {
                let values = self.pop_terms(names.len())?;
                let mut dict = Dict::default();
                for (name, value) in names.iter().zip(values) {
                    dict.set(name, Ok(value));
                }
                self.push_dict(dict);
            }
            Instruction::DictUpdate(depth) => {
                let Value::Dict(added) = self.pop()? else {
                    return Err(Decline::new("it unpacks something other than a dict"));
                };
                let index = self.index_from_top(*depth)?;
                let Value::Dict(dict) = self.stack[index] else { return Err(malformed()) };
                self.update(dict, added)?;
            }
            Instruction::MapAdd(depth) => {
                let value = self.pop_term()?;
                let name = self.pop_name()?;
                let index = self.index_from_top(*depth)?;
                let Value::Dict(dict) = self.stack[index] else { return Err(malformed()) };
                self.changed(dict)?.set(&name, Ok(value));
            }
            _ => return Err(malformed()),
        }
        Ok(())
    }

    /// Makes a new dict and pushes it.
    pub(super) fn push_dict(&mut self, dict: Dict) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(dict);
    }

    /// A dict that is about to be changed.
    ///
    /// # Errors
    /// When it is the row of a function whose row must stay.
    pub(super) fn changed(&mut self, dict: usize) -> Result<&mut Dict, Decline> {
        if dict == 0 && self.keeps_row {
            return Err(Decline::new("it changes the row"));
        }
        self.dicts.get_mut(dict).ok_or_else(malformed)
    }

    /// Takes all entries of one dict over into another.
    pub(super) fn update(&mut self, dict: usize, added: usize) -> Result<(), Decline> {
        let added = self.dicts.get(added).ok_or_else(malformed)?.clone();
        let dict = self.changed(dict)?;
        for (name, value) in added.entries {
            dict.set(&name, value);
        }
        Ok(())
    }

    pub(super) fn load_entry(&mut self, name: &str) -> Result<(), Decline> {
        let container = self.pop()?;
        let Value::Dict(dict) = container else {
            return Err(Decline::new(format!("it takes `[\"{name}\"]` of a value")));
        };
        let dict = self.dicts.get(dict).ok_or_else(malformed)?;
        let term = dict.get(name).ok_or_else(|| missing(name))?.clone()?;
        self.stack.push(Value::Term(term));
        Ok(())
    }

    pub(super) fn store_entry(&mut self, name: &str) -> Result<(), Decline> {
        let target = self.pop()?;
        let value = self.pop_term()?;
        let Value::Dict(dict) = target else {
            return Err(Decline::new("it changes something other than a dict"));
        };
        self.changed(dict)?.set(name, Ok(value));
        Ok(())
    }

    pub(super) fn delete_entry(&mut self) -> Result<(), Decline> {
        let name = self.pop_name()?;
        let Value::Dict(dict) = self.pop()? else {
            return Err(Decline::new("it changes something other than a dict"));
        };
        self.changed(dict)?.remove(&name).ok_or_else(|| missing(&name))?.map(drop)
    }

    /// `dict(source, name=value, …)`.
    pub(super) fn copied_dict(
        &mut self,
        source: Option<&Value>,
        entries: Vec<(String, Value)>,
    ) -> Result<Value, Decline> {
        let mut copy = match source {
            None => Dict::default(),
            Some(Value::Dict(dict)) => self.dicts.get(*dict).ok_or_else(malformed)?.clone(),
            Some(_) => return Err(Decline::new("it makes a dict of something other than a dict")),
        };
        for (name, value) in entries {
            copy.set(&name, Ok(value.into_term()?));
        }
        self.dicts.push(copy);
        Ok(Value::Dict(self.dicts.len() - 1))
    }

    /// A method of a dict, called.
    pub(super) fn dict_method(
        &mut self,
        dict: usize,
        name: &str,
        arguments: Vec<Value>,
        entries: Vec<(String, Value)>,
    ) -> Result<Value, Decline> {
        let unknown = || Decline::new(format!("it calls `.{name}()` of a dict in a way not known"));
        if !entries.is_empty() && name != "update" {
            return Err(unknown());
        }
        let mut arguments = arguments.into_iter();
        match (name, arguments.next(), arguments.next(), arguments.next()) {
            ("copy", None, ..) => self.copied_dict(Some(&Value::Dict(dict)), entries),
            ("update", added, None, _) => {
                match added {
                    None => {}
                    Some(Value::Dict(added)) => self.update(dict, added)?,
                    Some(_) => return Err(unknown()),
                }
                for (name, value) in entries {
                    let value = value.into_term()?;
                    self.changed(dict)?.set(&name, Ok(value));
                }
                Ok(Value::Term(Term::scalar(&Constant::None)))
            }
            ("get" | "pop", Some(key), default, None) => {
                let Some(Constant::Str(key)) = key.as_constant() else { return Err(unknown()) };
                let found = if name == "get" {
                    self.dicts.get(dict).ok_or_else(malformed)?.get(key).cloned()
                } else {
                    self.changed(dict)?.remove(key)
                };
                match (found, default) {
                    (Some(entry), _) => entry.map(Value::Term),
                    (None, Some(default)) => Ok(default),
                    (None, None) if name == "get" => Ok(Value::Term(Term::scalar(&Constant::None))),
                    (None, None) => Err(missing(key)),
                }
            }
            _ => Err(unknown()),
        }
    }
}
