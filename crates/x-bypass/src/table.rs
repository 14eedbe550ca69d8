//! A list of targets.

use gost_core::{
    addr::Network,
    error::{Error, Result, Why},
    options,
    policy::{Answer, Asker, Bypass, BypassQuery},
};
use gost_loader::{RedisKind, Reloading, SourceOptions};
use gost_matcher::{Pattern, PatternSet};

use crate::Rules;

options! {
    /// Options of the list.
    pub struct TableOptions {
        /// The list says what the way is for, instead of what it is not for.
        whitelist: bool = false, "whitelist" | "reverse";
        /// Only targets on this network are meant: `tcp`, `udp`, ...; empty for all.
        network: String = String::new(), "network";
        /// Addresses, networks, ranges, names, `.domains` and wildcards, perhaps with ports.
        matchers: Vec<String> = Vec::new(), "matchers";
        ..sources: SourceOptions;
    }
}

/// A list of targets that a way is not for, or that alone it is for. Some may be loaded; as long as
/// they could not be, it is shut.
#[derive(Debug)]
pub struct Table {
    rules: Rules,
    list: Reloading<List>,
}

/// The patterns there are now.
#[derive(Debug)]
struct List {
    patterns: PatternSet,
    /// Nothing is missing.
    is_whole: bool,
}

impl Table {
    /// Loads a list. `place` says whose it is, for the log.
    ///
    /// # Errors
    /// A matcher that can never match, a network that there is not, or a file that can't be read.
    pub async fn new(place: &str, options: &TableOptions) -> Result<Self> {
        let network = match options.network.trim() {
            "" => None,
            text => Some(Network::parse(text).ok_or_else(|| {
                Error::new(Why::BadInput, format!("network: {text:?} is not a network"))
            })?),
        };
        let parse = |text: &String| {
            Pattern::parse(text).map_err(|e| Error::new(Why::BadInput, format!("matchers: {e}")))
        };
        let inline: Vec<Pattern> = options.matchers.iter().map(parse).collect::<Result<_>>()?;
        let list = Reloading::new(place, &options.sources, &[RedisKind::Set], move |loaded| {
            let read = loaded.entries().filter_map(|entry| {
                let text = entry.uncommented();
                let pattern = Pattern::parse(text);
                if let Err(why) = &pattern
                    && !text.is_empty()
                {
                    loaded.left_out(&entry, why);
                }
                pattern.ok()
            });
            List {
                patterns: inline.iter().cloned().chain(read).collect(),
                is_whole: loaded.is_whole(),
            }
        });
        let rules = Rules {
            whitelist: options.whitelist,
            network,
        };
        Ok(Self {
            rules,
            list: list.await?,
        })
    }
}

impl Bypass for Table {
    fn is_whitelist(&self) -> bool {
        self.rules.whitelist
    }

    fn is_shut(&self) -> bool {
        !self.list.load().is_whole
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
        let list = self.list.load();
        Answer::Now(if list.is_whole || self.rules.whitelist {
            self.rules.keep_out(&list.patterns, query)
        } else {
            self.rules.is_about(query)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn table(network: &str, matcher: &str) -> Result<Table> {
        let options = TableOptions {
            network: network.into(),
            matchers: vec![matcher.into()],
            ..TableOptions::default()
        };
        Table::new("test", &options).await
    }

    #[tokio::test]
    async fn what_can_never_match_is_an_error() {
        assert!(table("udp", "a.org").await.is_ok());
        for (network, matcher, said) in
            [("", "10.0.0.0/99", "10.0.0.0/99"), ("upd", "a.org", "upd")]
        {
            let error = table(network, matcher).await.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[tokio::test]
    async fn a_list_that_could_not_be_loaded_is_shut() {
        let of = async |whitelist, network: &str| {
            let options = TableOptions {
                whitelist,
                network: network.into(),
                matchers: vec!["a.org".into()],
                sources: SourceOptions {
                    http: Some(gost_loader::HttpSource {
                        // Nobody may listen there.
                        url: "http://127.0.0.1:1/".into(),
                        timeout: std::time::Duration::ZERO,
                    }),
                    ..SourceOptions::default()
                },
            };
            Table::new("test", &options).await.unwrap()
        };
        let (black, white, udp) = (
            of(false, "").await,
            of(true, "").await,
            of(false, "udp").await,
        );
        for table in [&black, &white, &udp] {
            assert!(table.is_shut());
        }
        let ask = async |table: &Table, host| {
            let query = BypassQuery {
                target: gost_core::addr::Target::tcp(gost_core::addr::Addr::parse(host).unwrap()),
                ..BypassQuery::default()
            };
            table.contains(&query, &Asker::default()).await
        };
        assert!(ask(&black, "a.org:80").await && ask(&black, "b.org:80").await);
        assert!(!ask(&white, "a.org:80").await && ask(&white, "b.org:80").await);
        assert!(!ask(&udp, "a.org:80").await);
    }
}
