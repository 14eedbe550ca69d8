//! Any document, in the format that the first byte says. What is printed as YAML can be read back,
//! and is the same from then on (the first time, empty mappings of the single sections vanish).
#![no_main]

use gost_config::{FileFormat, Format, check, read_document};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, document)) = bytes.split_first() else {
        return;
    };
    let format = match first % 4 {
        0 => FileFormat::Json,
        1 => FileFormat::InlineJson,
        2 => FileFormat::Toml,
        _ => FileFormat::Yaml,
    };
    let Ok((config, _)) = read_document("input", format, document) else {
        return;
    };
    check(&config);
    let _ = config.print(Format::Json);
    let Ok(first) = config.print(Format::Yaml) else {
        return;
    };
    let second = again(&first);
    assert_eq!(again(&second), second);
});

fn again(yaml: &str) -> String {
    let read = read_document("printed", FileFormat::Yaml, yaml.as_bytes());
    let (config, _) = read.unwrap_or_else(|failure| panic!("{failure}\n{yaml}"));
    config.print(Format::Yaml).unwrap_or_default()
}
