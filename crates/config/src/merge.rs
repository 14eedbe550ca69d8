//! Joining two configurations.

use crate::Config;

impl Config {
    /// Adds another configuration: its lists behind the own ones, its single sections in place of
    /// the own ones. Names are not compared.
    pub fn append(&mut self, other: Self) {
        let Self {
            services,
            chains,
            hops,
            authers,
            admissions,
            bypasses,
            resolvers,
            hosts,
            ingresses,
            routers,
            sds,
            recorders,
            rewriters,
            caches,
            limiters,
            quotas,
            climiters,
            rlimiters,
            observers,
            loggers,
            tls,
            log,
            profiling,
            api,
            metrics,
            place: _,
        } = other;
        macro_rules! lists {
            ($($list:ident)*) => { $(self.$list.append($list);)* };
        }
        lists! {
            services chains hops authers admissions bypasses resolvers hosts ingresses routers sds
            recorders rewriters caches limiters quotas climiters rlimiters observers loggers
        }
        macro_rules! sections {
            ($($section:ident)*) => { $(self.$section = $section.or(self.$section.take());)* };
        }
        sections! { tls log profiling api metrics }
    }
}
