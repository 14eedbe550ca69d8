//! Every recorded file becomes the same configuration as in the original.

use serde_json::Value;

use super::{
    surprises,
    world::{cases, same, text, tree_value},
};
use crate::{
    Config, FileFormat, Format, Place, formats, read_document,
    schema::{Structure, Visitor},
};

/// Rows that differ on purpose, and why.
const DIFFERENT: [(&str, &str); 1] = [(
    "metadata-infinity.yaml",
    "an infinity is no JSON: said, where the original prints nothing and exits with 0",
)];

/// Printed YAML that differs on purpose: the original prints `sep: "\n"` as an empty block, which
/// reads back as no text at all.
const DIFFERENT_YAML: &str = "recorder-file";

fn read(input: &str) -> Config {
    let format =
        FileFormat::of_extension(input.rsplit('.').next().unwrap_or("")).expect("known formats");
    let (config, _) = read_document(input, format, text("config", input).as_bytes())
        .unwrap_or_else(|failure| panic!("{failure}"));
    config
}

#[test]
fn files_become_what_they_always_became() {
    let index = cases("config", "index.json");
    let mut differing = Vec::new();
    for row in &index {
        let input = row["input"].as_str().unwrap_or_default();
        let ours = read(input).print(Format::Json);
        let detail = match (ours, row["output"].as_str()) {
            (Ok(ours), Some(output)) => {
                let ours: Value = serde_json::from_str(&ours).expect("printed JSON is JSON");
                let theirs: Value =
                    serde_json::from_str(&text("config", output)).expect("recorded JSON");
                if same(&ours, &theirs) {
                    continue;
                }
                format!("ours   {ours}\ntheirs {theirs}")
            }
            (ours, _) => format!("{ours:?}"),
        };
        differing.push((input.to_owned(), detail));
    }
    let report = surprises(&differing, &DIFFERENT);
    assert!(report.is_empty(), "{report}");
    assert_eq!(index.len(), 104);
}

#[test]
fn printed_yaml_says_the_same_and_is_read_back() {
    for row in cases("config", "yaml_output.json") {
        let name = row["name"].as_str().unwrap_or_default();
        let input = ["yaml", "in.json", "toml"]
            .map(|extension| format!("{name}.{extension}"))
            .into_iter()
            .find(|input| {
                let index = cases("config", "index.json");
                index.iter().any(|row| row["input"] == input.as_str())
            })
            .unwrap_or_else(|| panic!("no input for {name}"));
        let config = read(&input);
        let ours = config.print(Format::Yaml).expect("yaml");
        let parse = |text: &str| {
            let document = formats::parse(FileFormat::Yaml, text.as_bytes()).expect(text);
            tree_value(&document.tree)
        };
        let theirs = row["yaml"].as_str().unwrap_or_default();
        let is_same = same(&parse(&ours), &parse(theirs));
        assert_eq!(
            is_same,
            name != DIFFERENT_YAML,
            "{name}
{ours}
{theirs}"
        );
        let (again, _) = read_document("again", FileFormat::Yaml, ours.as_bytes()).expect(name);
        let twice = again.print(Format::Yaml).expect("yaml");
        assert_eq!(twice, ours, "{name}");
    }
}

#[test]
fn the_schema_is_whole() {
    /// Counts structures and keys by making one of each.
    fn count<T: Structure>(seen: &mut Vec<(&'static str, usize)>) {
        if !seen.iter().any(|(name, _)| *name == T::NAME) {
            seen.push((T::NAME, T::FIELDS.len()));
        }
    }
    macro_rules! structures {
        ($($name:ident)*) => {{
            let mut seen = Vec::new();
            $(count::<crate::$name>(&mut seen);)*
            seen
        }};
    }
    let seen = structures! {
        Config Service Handler Listener ChainGroup ChainGroupEntry Forwarder HopGroup HopGroupEntry
        ForwardNode RecorderObject ServiceStatus ServiceEvent ServiceStats ServiceQuota Chain Hop
        Node Connector Dialer NodeFilter Matcher Probe HttpNode UrlRewrite BodyRewrite TlsNode Auth
        Tls TlsOptions SockOpts Selector Plugin FileLoader RedisLoader HttpLoader Auther Admission
        Bypass Limiter Quota QuotaStore QuotaRedis QuotaStatus Resolver Nameserver Hosts HostMapping
        Ingress IngressRule Router Route Sd SdRedis Recorder FileRecorder TcpRecorder HttpRecorder
        RedisRecorder Rewriter Cache MemoryCache RedisCache Observer Logger Log LogRotation
        Profiling Api Metrics
    };
    let keys: usize = seen.iter().map(|(_, keys)| keys).sum();
    // Those of the original, and the redis of service discovery.
    assert_eq!((seen.len(), keys), (69 + 1, 400 + 7));
}

#[test]
fn places_and_metadata_are_found_by_a_visitor() {
    #[derive(Default)]
    struct Places(Vec<String>, usize);
    impl Visitor for Places {
        fn enter(&mut self, name: &'static str, place: &Place) {
            self.0.push(format!("{name} {place}"));
        }
        fn metadata(&mut self, values: &gost_core::values::Values) {
            self.1 += values.iter().count();
        }
    }
    let yaml = "services:\n- name: a\n  handler:\n    type: http\n    metadata: {x: 1}\n";
    let (config, _) = read_document("a.yaml", FileFormat::Yaml, yaml.as_bytes()).expect("yaml");
    let mut places = Places::default();
    config.visit(&mut places);
    assert_eq!(
        places.0,
        [
            "Config a.yaml:1",
            "Service a.yaml:2: services[0]",
            "Handler a.yaml:4: services[0].handler"
        ]
    );
    assert_eq!(places.1, 1);
    let handler = config.services[0].handler.as_ref().expect("a handler");
    let problem = handler.place.error("metadata", "bad");
    assert_eq!(
        problem.to_string(),
        "a.yaml:5: services[0].handler.metadata: bad"
    );
}

#[test]
fn moved_settings_are_equal_and_changed_ones_are_not() {
    let read = |text: &str| {
        let document = read_document("a.yaml", FileFormat::Yaml, text.as_bytes());
        document.expect("yaml").0
    };
    let before = read("services:\n- name: a\n  metadata: {x: 1, Y: 2}\n");
    let moved = read("\n\nservices:\n- metadata: {Y: 2, x: 1}\n  name: a\n");
    let changed = read("services:\n- name: a\n  metadata: {x: 1, Y: 3}\n");
    assert_eq!(before, moved);
    assert_ne!(before, changed);
}

#[test]
fn documents_of_any_size_and_shape_end_in_a_clear_error() {
    let big = vec![b' '; 17 << 20];
    let error = read_document("big.yaml", FileFormat::Yaml, &big).expect_err("too big");
    assert!(error.to_string().contains("bytes are too many"), "{error}");
    let error = read_document("a.yaml", FileFormat::Yaml, b"a: 1\nb: \xff\n").expect_err("no text");
    assert_eq!(error.to_string(), "a.yaml:2: the text is not UTF-8");
    let many: Vec<_> = (0..20_000).map(|n| format!("key{n}: 1\n")).collect();
    let many = many.concat();
    let (_, problems) = read_document("a.yaml", FileFormat::Yaml, many.as_bytes()).expect("yaml");
    assert_eq!(problems.len(), 1000);
}
