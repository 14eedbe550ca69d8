//! The configuration as data: every section, structure and key.
//!
//! One list (see [`schema!`](self)) makes each structure, its reader, its printer and its key
//! table. A scalar that was not written has its zero value (empty text, 0, false): the format
//! has always treated the two alike. What a missing value means is decided where it is used.

mod chain;
mod global;
mod naming;
mod policy;
mod record;
mod service;
mod shared;

use gost_core::values::Values;

pub use self::{chain::*, global::*, naming::*, policy::*, record::*, service::*, shared::*};
use crate::{
    List, Place,
    decode::{Decoder, FieldType},
    output::{Doc, Format},
    tree::Tree,
};

/// A key of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The key as the original spells it.
    pub key: &'static str,
    json: &'static str,
    yaml: &'static str,
    always_json: bool,
    always_yaml: bool,
    pub(crate) is_shorthand: bool,
}

impl Field {
    const fn new(key: &'static str) -> Self {
        Self {
            key,
            json: key,
            yaml: key,
            always_json: false,
            always_yaml: false,
            is_shorthand: false,
        }
    }

    /// Printed even when empty.
    const fn always(mut self) -> Self {
        self.always_json = true;
        self.always_yaml = true;
        self
    }

    /// Printed in YAML even when empty.
    const fn always_in_yaml(mut self) -> Self {
        self.always_yaml = true;
        self
    }

    /// Spelt another way in printed JSON.
    const fn json(mut self, key: &'static str) -> Self {
        self.json = key;
        self
    }

    /// Spelt another way in printed YAML.
    const fn yaml(mut self, key: &'static str) -> Self {
        self.yaml = key;
        self
    }

    /// A plain text in place of the structure is the value of this key.
    const fn shorthand(mut self) -> Self {
        self.is_shorthand = true;
        self
    }

    fn encode(&self, value: &impl FieldType, format: Format, entries: &mut Entries) {
        let (key, always) = match format {
            Format::Json => (self.json, self.always_json),
            Format::Yaml => (self.yaml, self.always_yaml),
        };
        if always || !value.is_empty() {
            entries.push((key.into(), value.encode(format)));
        }
    }
}

type Entries = Vec<(std::borrow::Cow<'static, str>, Doc)>;

/// A structure of the schema.
pub trait Structure: Default {
    /// Its name.
    const NAME: &'static str;

    /// Its keys, in the order printed.
    const FIELDS: &'static [Field];

    /// Reads the value of a key, which must be one of [`FIELDS`](Self::FIELDS).
    fn set(&mut self, key: &'static str, tree: &Tree, decoder: &mut Decoder);

    /// The structure for printing.
    fn encode(&self, format: Format) -> Doc;

    /// Shows itself and everything inside to a visitor.
    fn visit(&self, visitor: &mut dyn Visitor);

    /// Where it was written.
    fn place(&self) -> &Place;

    /// Where it was written, to be set.
    fn place_mut(&mut self) -> &mut Place;
}

/// One who looks at everything in a configuration.
pub trait Visitor {
    /// A structure begins; its parts follow, then [`leave`](Self::leave).
    fn enter(&mut self, _name: &'static str, _place: &Place) {}

    /// The structure that was entered last ends.
    fn leave(&mut self) {}

    /// A metadata block of the structure that was entered last.
    fn metadata(&mut self, _values: &Values) {}
}

/// Declares structures of the configuration: the struct, reader, printer and key table.
///
/// A field is `name: Type => "key";` under its docstring, with notes behind the key on how it is
/// printed (`.always()`, see [`Field`]).
macro_rules! schema {
    ($(
        $(#[doc = $doc:literal])+
        pub struct $name:ident {$(
            $(#[doc = $field_doc:literal])+
            $field:ident: $ty:ty => $key:literal $(.$note:ident($($arg:literal)?))*;
        )*}
    )*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[doc = $field_doc])+ pub $field: $ty,)*
            /// Where it was written; never counts when compared.
            pub place: $crate::Place,
        }

        impl $crate::schema::Structure for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [$crate::schema::Field] = &[
                $($crate::schema::Field::new($key)$(.$note($($arg)?))*,)*
            ];

            fn set(
                &mut self,
                key: &'static str,
                tree: &$crate::tree::Tree,
                decoder: &mut $crate::decode::Decoder,
            ) {
                match key {
                    $($key => $crate::decode::FieldType::decode(&mut self.$field, tree, decoder),)*
                    _ => {}
                }
            }

            fn encode(&self, format: $crate::output::Format) -> $crate::output::Doc {
                let mut entries = Vec::with_capacity(Self::FIELDS.len());
                let mut fields = Self::FIELDS.iter();
                $(if let Some(field) = fields.next() {
                    field.encode(&self.$field, format, &mut entries);
                })*
                $crate::output::Doc::Map(entries)
            }

            fn visit(&self, visitor: &mut dyn $crate::schema::Visitor) {
                visitor.enter(Self::NAME, &self.place);
                $($crate::decode::FieldType::visit(&self.$field, visitor);)*
                visitor.leave();
            }

            fn place(&self) -> &$crate::Place {
                &self.place
            }

            fn place_mut(&mut self) -> &mut $crate::Place {
                &mut self.place
            }
        }
    )*};
}
pub(crate) use schema;

/// The sections that are single mappings; all others are lists.
pub(crate) const SINGLE_SECTIONS: [&str; 5] = ["tls", "log", "profiling", "api", "metrics"];

schema! {
    /// A whole configuration.
    pub struct Config {
        /// Running services.
        services: List<Service> => "services".always();
        /// Chains that services go out through.
        chains: List<Chain> => "chains";
        /// Hops that chains and forwarders share by name.
        hops: List<Hop> => "hops";
        /// Authenticators.
        authers: List<Auther> => "authers";
        /// Who may connect.
        admissions: List<Admission> => "admissions";
        /// Which targets bypass a chain, hop or node.
        bypasses: List<Bypass> => "bypasses";
        /// DNS resolvers.
        resolvers: List<Resolver> => "resolvers";
        /// Tables from host names to addresses.
        hosts: List<Hosts> => "hosts";
        /// Tables from host names to tunnels.
        ingresses: List<Ingress> => "ingresses";
        /// Tables from networks to gateways.
        routers: List<Router> => "routers";
        /// Service discovery.
        sds: List<Sd> => "sds";
        /// Where records of traffic go.
        recorders: List<Recorder> => "recorders";
        /// Rewriters of HTTP bodies.
        rewriters: List<Rewriter> => "rewriters";
        /// Caches of HTTP responses.
        caches: List<Cache> => "caches";
        /// Limits on bytes per second.
        limiters: List<Limiter> => "limiters";
        /// Limits on bytes altogether.
        quotas: List<Quota> => "quotas";
        /// Limits on connections at a time.
        climiters: List<Limiter> => "climiters";
        /// Limits on requests per second.
        rlimiters: List<Limiter> => "rlimiters";
        /// Who is told about events and statistics.
        observers: List<Observer> => "observers";
        /// Loggers that services may choose by name.
        loggers: List<Logger> => "loggers";
        /// The certificate of servers that have none of their own.
        tls: Option<Tls> => "tls";
        /// The default logger.
        log: Option<Log> => "log";
        /// The profiling server.
        profiling: Option<Profiling> => "profiling";
        /// The web API.
        api: Option<Api> => "api";
        /// The metrics server.
        metrics: Option<Metrics> => "metrics";
    }
}
