//! Names in a query: columns in another case, and names for what has none.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SetExpr, VisitMut, VisitorMut,
};

/// Gives the columns of the result that are computed and have no name the text that they have in
/// the query: `sum(price)`.
pub(super) fn name_by_text(query: &mut Query) {
    let mut body = query.body.as_mut();
    loop {
        match body {
            SetExpr::SetOperation { left, .. } => body = left.as_mut(),
            SetExpr::Query(inner) => body = inner.body.as_mut(),
            SetExpr::Select(select) => {
                for item in &mut select.projection {
                    name_item(item);
                }
                return;
            }
            _ => return,
        }
    }
}

fn name_item(item: &mut SelectItem) {
    let SelectItem::UnnamedExpr(expr) = item else { return };
    if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return;
    }
    let alias = Ident::with_quote('"', expr.to_string());
    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
}

/// Spells columns as the tables do. SQL reads a name without quotes as lower case, so that a
/// column `Price` could only be had in quotes. A name that is no column as SQL reads it, and that
/// one column has in another case, becomes that column; names that the query itself makes are left
/// alone.
pub(super) fn spell_as_columns<'a>(query: &mut Query, columns: impl Iterator<Item = &'a str>) {
    let mut spelt: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for column in columns {
        spelt.entry(column.to_lowercase()).or_default().insert(column);
    }
    let mut made = MadeNames::default();
    if query.visit(&mut made).is_break() {
        return;
    }
    let other_case: BTreeMap<String, String> = spelt
        .into_iter()
        .filter(|(lower, names)| names.len() == 1 && !names.contains(lower.as_str()))
        .filter(|(lower, _)| !made.names.contains(lower))
        .filter_map(|(lower, names)| Some((lower, names.first()?.to_string())))
        .collect();
    if other_case.is_empty() {
        return;
    }
    let mut spelling = Spelling { other_case };
    let flow: ControlFlow<()> = query.visit(&mut spelling);
    debug_assert!(flow.is_continue(), "it never breaks off");
}

/// The names that a query makes: aliases of columns and of queries.
#[derive(Default)]
struct MadeNames {
    names: BTreeSet<String>,
}

impl VisitorMut for MadeNames {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item
                && alias.quote_style.is_none()
            {
                self.names.insert(alias.value.to_lowercase());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = cte.alias.columns.iter().map(|column| &column.name);
            let names = columns.filter(|name| name.quote_style.is_none());
            self.names.extend(names.map(|name| name.value.to_lowercase()));
        }
        ControlFlow::Continue(())
    }
}

/// Replaces names of columns.
struct Spelling {
    /// Lower case to the column.
    other_case: BTreeMap<String, String>,
}

impl Spelling {
    fn spell(&self, ident: &mut Ident) {
        if ident.quote_style.is_none()
            && let Some(column) = self.other_case.get(&ident.value.to_lowercase())
        {
            ident.value.clone_from(column);
            ident.quote_style = Some('"');
        }
    }
}

impl VisitorMut for Spelling {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.spell(ident),
            Expr::CompoundIdentifier(parts) => {
                if let Some(last) = parts.last_mut() {
                    self.spell(last);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
