//! The properties of the fuzz targets, with the inputs of a test run.

use gost_chain::rules::{Call, Expr};
use proptest::{collection::vec, prelude::*};

#[expect(unreachable_pub, reason = "it is a library to the fuzz targets")]
#[path = "../fuzz/src/lib.rs"]
mod properties;

fn tree<L: Clone + std::fmt::Debug + 'static>(
    leaf: impl Strategy<Value = L> + 'static,
) -> impl Strategy<Value = Expr<L>> {
    leaf.prop_map(Expr::Leaf).prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|expr| Expr::Not(Box::new(expr))),
            vec(inner.clone(), 2..5).prop_map(Expr::All),
            vec(inner, 2..5).prop_map(Expr::Any),
        ]
    })
}

fn call() -> impl Strategy<Value = Call> {
    let arg = prop_oneof!["[a-z.*/]{1,12}", "(?s).{1,20}"];
    let args = vec(arg, 1..4);
    ("[A-Za-z_][A-Za-z0-9_]{0,9}", args).prop_map(|(name, args)| Call { name, args })
}

/// Something like a rule, with the pieces in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("Host(`a`)".to_owned()),
        Just(r#"BodyJSON("a.#.b", `x`)"#.to_owned()),
        "[!()&|,`\"\\\\ /*]",
        Just("&&".to_owned()),
        Just("||".to_owned()),
        "[A-Za-z]{1,6}",
        ".",
    ];
    vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text(text in prop_oneof![soup(), "(?s).{0,60}"]) {
        properties::any_text(&text);
    }

    #[test]
    fn any_rule(rule in tree(call())) {
        properties::any_rule(&rule);
    }

    #[test]
    fn any_negation(rule in tree(0_u8..8), truths in vec(any::<bool>(), 8)) {
        properties::any_negation(&rule, &truths);
    }

    #[test]
    fn any_body(path in "[a-c.#*?\\\\0-9]{0,12}", body in "[\\[\\]{}\":,a-c0-9]{0,40}") {
        properties::any_matcher(&path, body.as_bytes());
    }
}
