//! Trees that make sense, and bodies beside them.
#![no_main]

use arbitrary::Arbitrary;
use gost_chain::rules::{Call, Expr};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Tree {
    Call(u8, Vec<String>),
    Not(Box<Tree>),
    All(Box<Tree>, Box<Tree>, Vec<Tree>),
    Any(Box<Tree>, Box<Tree>, Vec<Tree>),
}

const NAMES: [&str; 6] = ["Host", "Path", "BodyJSON", "Header", "QueryRegexp", "x_1"];

impl Tree {
    /// The rule; `None` where it nests too deep or has nothing to ask.
    fn rule(self, depth: usize) -> Option<Expr<Call>> {
        let depth = depth.checked_sub(1)?;
        let all = |first: Self, second: Self, rest: Vec<Self>| {
            let parts = [first, second].into_iter().chain(rest);
            parts.map(|part| part.rule(depth)).collect::<Option<_>>()
        };
        Some(match self {
            Self::Call(name, mut args) => {
                args.retain(|arg| !arg.is_empty());
                let name = NAMES[usize::from(name) % NAMES.len()].to_owned();
                (!args.is_empty()).then_some(Expr::Leaf(Call { name, args }))?
            }
            Self::Not(inner) => Expr::Not(Box::new(inner.rule(depth)?)),
            Self::All(first, second, rest) => Expr::All(all(*first, *second, rest)?),
            Self::Any(first, second, rest) => Expr::Any(all(*first, *second, rest)?),
        })
    }
}

fuzz_target!(|input: (Tree, Vec<u8>)| {
    let (tree, body) = input;
    if let Some(rule) = tree.rule(40) {
        gost_chain_fuzz::any_rule(&rule);
        gost_chain_fuzz::any_matcher(&rule.to_string(), &body);
    }
});
