//! What settings are refused, and what is only remarked on.

use std::sync::Arc;

use gost_core::build::TlsSettings;
use gost_tls::{ClientOptions, ClientTls, ServerTls, SystemRoots};

use crate::support::{Folder, Issuer, client, server};

fn options(min: &str, max: &str, suites: &[&str]) -> TlsSettings {
    TlsSettings {
        min_version: min.to_owned(),
        max_version: max.to_owned(),
        cipher_suites: suites.iter().map(|&s| s.to_owned()).collect(),
        ..TlsSettings::default()
    }
}

#[test]
fn versions_and_suites() {
    const OLD: &str = "TLS_RSA_WITH_AES_128_CBC_SHA";
    const GOOD: &str = "tls_ecdhe_rsa_with_aes_128_gcm_sha256";
    let low = "minVersion: versiontls10 is not supported; the lowest version is VersionTLS12";
    let left_out = "cipherSuites: TLS_RSA_WITH_AES_128_CBC_SHA is not supported, and left out";
    for (settings, remarks) in [
        (options("", "", &[]), &[][..]),
        (options("VersionTLS12", "versiontls13", &[GOOD]), &[]),
        (options("versiontls10", "", &[]), &[low]),
        (options("", "", &[OLD, GOOD]), &[left_out]),
        (options("", "", &[OLD]), &[left_out]),
        (
            options("", "VersionTLS12", &[GOOD, "TLS_AES_128_GCM_SHA256"]),
            &[],
        ),
    ] {
        let client = ClientOptions::default();
        let (_, found) = ClientTls::new(&settings, &client, Arc::<SystemRoots>::default()).unwrap();
        assert_eq!(found, remarks, "{settings:?}");
    }
    for (settings, wrong) in [
        (
            options("", "VersionTLS11", &[]),
            "maxVersion: versions below 1.2 are not secure, and not supported",
        ),
        (
            options("VersionTLS13", "VersionTLS12", &[]),
            "minVersion: \"VersionTLS13\" leaves no version",
        ),
        (
            options("TLS1.2", "", &[]),
            "minVersion: \"TLS1.2\" is none of VersionTLS10 to VersionTLS13",
        ),
        (
            options("", "VersionTLS12", &[OLD]),
            "cipherSuites: none of them is supported, and maxVersion leaves no others",
        ),
    ] {
        assert_eq!(client(&settings, "").unwrap_err().to_string(), wrong);
        assert_eq!(server(&settings).unwrap_err().to_string(), wrong);
    }
}

#[test]
fn pins() {
    let short = "ab".repeat(31);
    for pin in [
        "x",
        "sha256//AAAA",
        "sha256//???",
        &short,
        &"é".repeat(32),
        "sha1:00",
    ] {
        let error = client(&TlsSettings::default(), pin)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("tls.pin: "), "{error}");
    }
}

#[test]
fn files_that_are_not_good_are_named_with_what_is_wrong() {
    let folder = Folder::new();
    let issuer = Issuer::new("x");
    let (cert, key) = issuer.issue("server.test");
    let other = issuer.issue("server.test");
    let cert_file = folder.write("cert", &cert);
    let key_file = folder.write("key", &key);
    let other_key = folder.write("other", &other.1);
    let empty = folder.write("empty", "");
    let text = folder.write(
        "text",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    );
    let no_der = folder.write(
        "no-der",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let locked = folder.write(
        "locked",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let no_key = folder.write(
        "no-key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let missing = folder.path("missing").to_str().unwrap().to_owned();
    let file = |cert: &str, key: &str, ca: &str| TlsSettings {
        cert_file: cert.to_owned(),
        key_file: key.to_owned(),
        ca_file: ca.to_owned(),
        ..TlsSettings::default()
    };
    for (settings, at, wrong) in [
        (file(&missing, &key_file, ""), &missing, "No such file"),
        (file(&cert_file, &missing, ""), &missing, "No such file"),
        (
            file(&cert_file, &key_file, &missing),
            &missing,
            "No such file",
        ),
        (
            file(&empty, &key_file, ""),
            &empty,
            "holds no certificate in PEM format",
        ),
        (
            file(&key_file, &cert_file, ""),
            &key_file,
            "holds a key but no certificate",
        ),
        (
            file(&cert_file, &cert_file, ""),
            &cert_file,
            "holds a certificate but no key",
        ),
        (
            file(&cert_file, &empty, ""),
            &empty,
            "holds no private key in PEM format",
        ),
        (
            file(&cert_file, &locked, ""),
            &locked,
            "the key is encrypted",
        ),
        (file(&cert_file, &no_key, ""), &no_key, ""),
        (
            file(&cert_file, &other_key, ""),
            &other_key,
            "the key does not belong to the certificate in",
        ),
        (file(&text, &key_file, ""), &text, "is damaged"),
        (file(&no_der, &key_file, ""), &no_der, ""),
        (
            file(&cert_file, &key_file, &no_der),
            &no_der,
            "holds no certificate that can be parsed",
        ),
        (
            file(&cert_file, &key_file, &key_file),
            &key_file,
            "holds a key but no certificate",
        ),
    ] {
        for error in [
            server(&settings).unwrap_err(),
            client(&settings, "").unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.starts_with(&**at) && error.contains(wrong),
                "{at} {wrong}: {error}"
            );
        }
    }
    for (settings, wrong) in [
        (file(&cert_file, "", ""), "certFile: without keyFile"),
        (file("", &key_file, ""), "keyFile: without certFile"),
    ] {
        assert_eq!(server(&settings).unwrap_err().to_string(), wrong);
        assert_eq!(client(&settings, "").unwrap_err().to_string(), wrong);
    }
    let ca_only = server(&file("", "", &cert_file)).unwrap_err().to_string();
    assert!(
        ca_only.starts_with("caFile: without certFile and keyFile"),
        "{ca_only}"
    );
}

#[test]
fn the_programs_own_certificate_is_looked_at_at_start() {
    let folder = Folder::new();
    let settings = TlsSettings {
        cert_file: folder.path("missing").to_str().unwrap().to_owned(),
        key_file: "x".to_owned(),
        ..TlsSettings::default()
    };
    let error = ServerTls::new(&TlsSettings::default(), folder.default(settings)).unwrap_err();
    assert!(
        error.to_string().contains("missing: No such file"),
        "{error}"
    );
}
