//! The dialers as a configuration makes them.

use std::{sync::Arc, time::Duration};

use gost_core::{
    prelude::*,
    values::{Mark, Value, Values},
};
use gost_net::sockets::Sockets;
use gost_testkit::tcp::{Behaviour, Server};

async fn dialer(kind: &str, keys: &[(&str, &str)]) -> Result<Arc<dyn Dialer>> {
    let mut registry = Registry::new();
    gost_x_tls::register(&mut registry);
    let registry = Arc::new(registry);
    let mut values = Values::new();
    for (key, value) in keys {
        let mark = Mark::new("test".into(), 0);
        values.set(*key, Value::Text((*value).to_owned()), mark);
    }
    let mut build = Build::new(registry.clone());
    build.values = values.clone();
    registry.make::<dyn Dialer>(kind, &values, build).await
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = Server::start(Behaviour::Sink).await.unwrap();
    let below: Arc<dyn Outbound> = Arc::new(Sockets::default());
    let node = NodeAddr::new(silent.address().into());
    for kind in ["tls", "utls", "mtls"] {
        let dialer = dialer(kind, &[("handshakeTimeout", "100ms")])
            .await
            .unwrap();
        let ask = Ask::default();
        let dial = dialer.dial(&node, &below, &ask);
        let error = tokio::time::timeout(Duration::from_secs(10), dial)
            .await
            .expect("given up in time")
            .unwrap_err();
        assert_eq!(error.why(), Why::TimedOut, "{kind}");
        assert_eq!(error.at_phase(), Phase::Handshake, "{kind}");
        assert!(
            error.to_string().contains("no handshake within 100ms"),
            "{kind}: {error}"
        );
    }
}

#[tokio::test]
async fn a_pin_that_is_none_is_refused_at_once() {
    for kind in ["tls", "utls", "mtls"] {
        let error = dialer(kind, &[("tls.pin", "12:34")]).await.err().unwrap();
        assert!(
            error
                .to_string()
                .starts_with("tls: tls.pin: \"12:34\" is neither"),
            "{error}"
        );
    }
}
