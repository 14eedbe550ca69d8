//! How much: rates and quotas, by whole configurations and with what arrives at the far end.

mod quotas;
mod rates;
mod reference;
mod support;
