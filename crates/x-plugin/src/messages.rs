//! What is asked and answered, once for both protocols: as protobuf over gRPC (`proto/plugin.proto`
//! in this crate), as JSON with the same keys over HTTP.

use std::fmt;

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{error::PluginError, json};

/// The longest answer to most questions, in bytes.
const USUAL: usize = 1 << 20;

/// A question and where it is asked.
pub(crate) trait Call: prost::Message + Serialize + 'static {
    /// The answer.
    type Reply: prost::Message + Default + 'static;
    /// The full name of the method over gRPC.
    const METHOD: &'static str;
    /// The verb over HTTP; a GET has the fields as its query, all others as a body.
    const VERB: Method;
    /// The longest answer, in bytes.
    const MOST: usize = USUAL;

    /// Reads the body of an answer over HTTP.
    fn answer(body: &[u8]) -> Result<Self::Reply, PluginError>;
}

/// Declares what is answered to a question whose HTTP answer has the same fields.
macro_rules! calls {
    ($($request:ident => $reply:ident, $method:literal, $verb:ident $(, $most:expr)?;)*) => {$(
        impl Call for $request {
            type Reply = $reply;
            const METHOD: &'static str = concat!("/proto.", $method);
            const VERB: Method = Method::$verb;
            $(const MOST: usize = $most;)?

            fn answer(body: &[u8]) -> Result<$reply, PluginError> {
                read(json::fields(body)?)
            }
        }
    )*};
}

calls! {
    AuthenticateRequest => AuthenticateReply, "Authenticator/Authenticate", POST;
    AdmissionRequest => OkReply, "Admission/Admit", POST;
    BypassRequest => OkReply, "Bypass/Bypass", POST;
    LookupRequest => AddressesReply, "HostMapper/Lookup", POST;
    ResolveRequest => AddressesReply, "Resolver/Resolve", POST;
    GetRuleRequest => GetRuleReply, "Ingress/GetRule", GET;
    SetRuleRequest => OkReply, "Ingress/SetRule", PUT;
    LimitRequest => LimitReply, "Limiter/Limit", POST;
    ObserveRequest => OkReply, "Observer/Observe", POST;
    RecordRequest => OkReply, "Recorder/Record", POST;
    GetServiceRequest => GetServiceReply, "SD/Get", GET;
    RewriteRequest => RewriteReply, "Rewriter/Rewrite", POST, 16 << 20;
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, PluginError> {
    serde_json::from_value(value).map_err(|e| PluginError::NotUnderstood(e.to_string()))
}

impl Call for SelectRequest {
    type Reply = SelectReply;
    const METHOD: &'static str = "/proto.Hop/Select";
    const VERB: Method = Method::POST;

    /// The body is the node itself.
    fn answer(body: &[u8]) -> Result<SelectReply, PluginError> {
        let node = match json::first(body)? {
            Value::Null => Bytes::new(),
            node @ Value::Object(_) => node.to_string().into(),
            _ => return Err(PluginError::NotUnderstood("not an object".to_owned())),
        };
        Ok(SelectReply { node })
    }
}

impl Call for GetRouteRequest {
    type Reply = GetRouteReply;
    const METHOD: &'static str = "/proto.Router/GetRoute";
    const VERB: Method = Method::GET;

    /// `net` is what `dst` was once called.
    fn answer(body: &[u8]) -> Result<GetRouteReply, PluginError> {
        let value = json::fields(body)?;
        let old = value["net"].as_str().unwrap_or_default().to_owned();
        let mut reply: GetRouteReply = read(value)?;
        if reply.dst.is_empty() {
            reply.dst = old;
        }
        Ok(reply)
    }
}

macro_rules! registrations {
    ($($request:ident, $method:literal, $verb:ident;)*) => {$(
        /// Something about a service of ours.
        #[derive(Clone, PartialEq, prost::Message, Serialize)]
        #[serde(transparent)]
        pub(crate) struct $request {
            #[prost(message, optional, tag = "1")]
            pub(crate) service: Option<ServiceRecord>,
        }

        impl Call for $request {
            type Reply = OkReply;
            const METHOD: &'static str = concat!("/proto.SD/", $method);
            const VERB: Method = Method::$verb;

            /// What the answer says does not matter.
            fn answer(_: &[u8]) -> Result<OkReply, PluginError> {
                Ok(OkReply::default())
            }
        }
    )*};
}

registrations! {
    RegisterRequest, "Register", POST;
    RenewRequest, "Renew", PUT;
    DeregisterRequest, "Deregister", DELETE;
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[prost(skip_debug)]
pub(crate) struct AuthenticateRequest {
    #[prost(string, tag = "1")]
    pub(crate) username: String,
    #[prost(string, tag = "2")]
    pub(crate) password: String,
    #[prost(string, tag = "3")]
    pub(crate) client: String,
    #[prost(string, tag = "4")]
    pub(crate) service: String,
    #[prost(string, tag = "5")]
    #[serde(rename = "clientCn", skip_serializing_if = "String::is_empty")]
    pub(crate) client_cn: String,
    #[prost(string, repeated, tag = "6")]
    #[serde(rename = "clientSan", skip_serializing_if = "Vec::is_empty")]
    pub(crate) client_san: Vec<String>,
    #[prost(string, tag = "7")]
    #[serde(
        rename = "clientCertFingerprint",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) client_cert_fingerprint: String,
}

impl fmt::Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthenticateRequest({}, ***)", self.username)
    }
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct AuthenticateReply {
    #[prost(bool, tag = "1")]
    pub(crate) ok: bool,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
}

/// Yes or no.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct OkReply {
    #[prost(bool, tag = "1")]
    pub(crate) ok: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct AdmissionRequest {
    #[prost(string, tag = "1")]
    pub(crate) addr: String,
    #[prost(string, tag = "2")]
    pub(crate) service: String,
    #[prost(string, tag = "3")]
    pub(crate) network: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct BypassRequest {
    #[prost(string, tag = "1")]
    pub(crate) addr: String,
    #[prost(string, tag = "2")]
    pub(crate) client: String,
    #[prost(string, tag = "3")]
    pub(crate) network: String,
    #[prost(string, tag = "4")]
    pub(crate) host: String,
    #[prost(string, tag = "5")]
    pub(crate) path: String,
    #[prost(string, tag = "6")]
    pub(crate) service: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct SelectRequest {
    #[prost(string, tag = "1")]
    pub(crate) network: String,
    #[prost(string, tag = "2")]
    pub(crate) addr: String,
    #[prost(string, tag = "3")]
    pub(crate) host: String,
    #[prost(string, tag = "4")]
    pub(crate) client: String,
    #[prost(string, tag = "5")]
    pub(crate) path: String,
    #[prost(string, tag = "6")]
    pub(crate) src: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SelectReply {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) node: Bytes,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct LookupRequest {
    #[prost(string, tag = "1")]
    pub(crate) network: String,
    #[prost(string, tag = "2")]
    pub(crate) host: String,
    #[prost(string, tag = "3")]
    pub(crate) client: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct ResolveRequest {
    #[prost(string, tag = "1")]
    pub(crate) network: String,
    #[prost(string, tag = "2")]
    pub(crate) host: String,
    #[prost(string, tag = "3")]
    pub(crate) client: String,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct AddressesReply {
    #[prost(string, repeated, tag = "1")]
    pub(crate) ips: Vec<String>,
    #[prost(bool, tag = "2")]
    pub(crate) ok: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct GetRuleRequest {
    #[prost(string, tag = "1")]
    pub(crate) host: String,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) service: String,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct GetRuleReply {
    #[prost(string, tag = "1")]
    pub(crate) endpoint: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct SetRuleRequest {
    #[prost(string, tag = "1")]
    pub(crate) host: String,
    #[prost(string, tag = "2")]
    pub(crate) endpoint: String,
    #[prost(string, tag = "3")]
    pub(crate) service: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct LimitRequest {
    #[prost(string, tag = "1")]
    pub(crate) network: String,
    #[prost(string, tag = "2")]
    pub(crate) addr: String,
    #[prost(string, tag = "3")]
    pub(crate) client: String,
    #[prost(string, tag = "4")]
    pub(crate) src: String,
    #[prost(string, tag = "5")]
    pub(crate) service: String,
    #[prost(string, tag = "6")]
    pub(crate) scope: String,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct LimitReply {
    #[prost(int64, tag = "1")]
    #[serde(rename = "in")]
    pub(crate) input: i64,
    #[prost(int64, tag = "2")]
    #[serde(rename = "out")]
    pub(crate) output: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct ObserveRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) events: Vec<EventMessage>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct EventMessage {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(string, tag = "2")]
    pub(crate) service: String,
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) client: String,
    #[prost(string, tag = "4")]
    pub(crate) r#type: String,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stats: Option<StatsMessage>,
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<StatusMessage>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) total_conns: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) current_conns: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) input_bytes: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) output_bytes: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) total_errs: u64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct StatusMessage {
    #[prost(string, tag = "1")]
    pub(crate) state: String,
    #[prost(string, tag = "2")]
    pub(crate) msg: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct RecordRequest {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(serialize_with = "json::as_base64")]
    pub(crate) data: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(serialize_with = "json::as_base64")]
    pub(crate) metadata: Bytes,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct GetRouteRequest {
    #[prost(string, tag = "1")]
    pub(crate) dst: String,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct GetRouteReply {
    #[prost(string, tag = "1")]
    pub(crate) dst: String,
    #[prost(string, tag = "2")]
    pub(crate) gateway: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ServiceRecord {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) node: String,
    #[prost(string, tag = "4")]
    pub(crate) network: String,
    #[prost(string, tag = "5")]
    pub(crate) address: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct GetServiceRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct GetServiceReply {
    #[prost(message, repeated, tag = "1")]
    pub(crate) services: Vec<ServiceRecord>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct RewriteRequest {
    /// Absent for what follows the last event of a stream.
    #[prost(bytes = "bytes", optional, tag = "1")]
    #[serde(serialize_with = "json::perhaps_as_base64")]
    pub(crate) data: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(serialize_with = "json::as_base64")]
    pub(crate) metadata: Bytes,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct RewriteReply {
    #[prost(bool, tag = "1")]
    pub(crate) ok: bool,
    /// Absent for "as it was"; over gRPC an empty one is absent.
    #[prost(bytes = "bytes", optional, tag = "2")]
    #[serde(deserialize_with = "json::from_base64")]
    pub(crate) data: Option<Bytes>,
}
