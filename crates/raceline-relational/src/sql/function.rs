//! Functions of users as scalar functions of a plan, where they are names: nothing here calls them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use raceline_plan::QueryFunction;

use super::statement::unexpected;

/// A function by its name. It counts as volatile, so that the optimizer neither moves nor copies
/// its calls.
#[derive(Debug)]
struct NamedFunction {
    function: Arc<QueryFunction>,
    signature: Signature,
}

/// `function` for the planner.
pub(super) fn scalar_function(function: &Arc<QueryFunction>) -> ScalarUDF {
    // How many arguments it takes is for its language to check.
    let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
    ScalarUDF::new_from_impl(NamedFunction {
        function: Arc::clone(function),
        signature: Signature::one_of(any, Volatility::Volatile),
    })
}

/// The function that `expr` calls, and the arguments; `None` when it calls none of a user.
pub(super) fn called(expr: &Expr) -> Option<(&Arc<QueryFunction>, &[Expr])> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let named = call.func.inner().downcast_ref::<NamedFunction>()?;
    Some((&named.function, &call.args))
}

/// Whether `expr` calls a function of a user. What stands in its subqueries does not count.
pub(super) fn has_call(expr: &Expr) -> bool {
    expr.exists(|part| Ok(called(part).is_some())).unwrap_or(false)
}

/// A function of a user that an expression of `plan` calls, not counting its inputs.
pub(super) fn call_in(plan: &LogicalPlan) -> Option<Arc<QueryFunction>> {
    let mut found = None;
    let visited = plan.apply_expressions(|expr| {
        expr.apply(|part| {
            if let Some((function, _)) = called(part) {
                found = Some(Arc::clone(function));
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    debug_assert!(visited.is_ok(), "looking at a plan does not fail");
    found
}

impl ScalarUDFImpl for NamedFunction {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(self.function.returns.data_type().clone())
    }

    fn return_field_from_args(
        &self,
        _args: ReturnFieldArgs<'_>,
    ) -> Result<FieldRef, DataFusionError> {
        let field = self.function.returns.as_ref().clone();
        Ok(Arc::new(field.with_name(self.name()).with_nullable(true)))
    }

    fn invoke_with_args(
        &self,
        _args: ScalarFunctionArgs,
    ) -> Result<ColumnarValue, DataFusionError> {
        Err(unexpected("a function of a user was left in a plan"))
    }
}

impl PartialEq for NamedFunction {
    fn eq(&self, other: &Self) -> bool {
        self.function.key == other.function.key
    }
}

impl Eq for NamedFunction {}

impl Hash for NamedFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.key.hash(state);
    }
}
