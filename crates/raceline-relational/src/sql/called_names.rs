//! The functions that the text of a query calls.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query,
    Visit, Visitor,
};

/// What looks like a function and is grammar.
const GRAMMAR: &[&str] = &[
    "all",
    "any",
    "array",
    "case",
    "cast",
    "exists",
    "extract",
    "grouping",
    "in",
    "interval",
    "map",
    "not",
    "overlay",
    "position",
    "row",
    "some",
    "substring",
    "trim",
    "try_cast",
    "values",
];

/// A call of a function in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlCall {
    /// Its name; one without quotes in lower case.
    pub name: String,
    /// Number of arguments.
    pub arguments: usize,
    /// What it has beside arguments, or among them, that only functions of SQL know: `distinct`,
    /// `over`.
    pub clause: Option<&'static str>,
}

/// Whether SQL has a function `name` itself.
#[must_use]
pub fn is_sql_function(name: &str) -> bool {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let state = SessionContext::new().state();
        let scalar = state.scalar_functions().keys();
        let higher = state.higher_order_functions().keys();
        let aggregate = state.aggregate_functions().keys();
        let all = scalar.chain(higher).chain(aggregate).chain(state.window_functions().keys());
        all.map(String::as_str).chain(GRAMMAR.iter().copied()).map(str::to_owned).collect()
    });
    names.contains(&name.to_lowercase())
}

/// The calls in `query`, each once.
pub(super) fn calls_of(query: &Query) -> Vec<SqlCall> {
    let mut found = Calls::default();
    let flow = query.visit(&mut found);
    debug_assert!(flow.is_continue(), "it never breaks off");
    found.calls
}

#[derive(Default)]
struct Calls {
    calls: Vec<SqlCall>,
}

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let arguments = match &function.args {
                FunctionArguments::None => 0,
                FunctionArguments::Subquery(_) => 1,
                FunctionArguments::List(list) => list.args.len(),
            };
            let name = name_of(&function.name);
            let call = SqlCall { name, arguments, clause: clause_of(function) };
            if !self.calls.contains(&call) {
                self.calls.push(call);
            }
        }
        ControlFlow::Continue(())
    }
}

fn clause_of(function: &Function) -> Option<&'static str> {
    if let FunctionArguments::List(list) = &function.args {
        let is_star = |one: &FunctionArg| matches!(one, FunctionArg::Unnamed(argument) if !matches!(argument, FunctionArgExpr::Expr(_)));
        if list.args.iter().any(is_star) {
            return Some("*");
        }
        if list.args.iter().any(|one| !matches!(one, FunctionArg::Unnamed(_))) {
            return Some("a named argument");
        }
        if list.duplicate_treatment.is_some() {
            return Some("distinct");
        }
        if !list.clauses.is_empty() {
            return Some("order by");
        }
    }
    let Function { filter, over, within_group, null_treatment, .. } = function;
    match (filter, over, null_treatment) {
        (Some(_), ..) => Some("filter"),
        (_, Some(_), _) => Some("over"),
        (.., Some(_)) => Some("nulls"),
        _ => (!within_group.is_empty()).then_some("within group"),
    }
}

/// A name as the planner looks it up.
fn name_of(name: &ObjectName) -> String {
    let ident: Option<&Ident> = match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    };
    match ident {
        Some(Ident { value, quote_style: None, .. }) => value.to_lowercase(),
        Some(ident) => ident.value.clone(),
        None => name.to_string(),
    }
}
