//! Command lines and configuration files of peers that need many words.

pub(super) const HAPROXY: &[&[&str]] =
    &[&["-db", "-f", "{dir}/global.cfg", "-f", "{dir}/listen.cfg"]];

pub(super) const HAPROXY_GLOBAL: &str = "\
global
    nbthread 2
    maxconn 4500
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
";

pub(super) const HAPROXY_LISTEN: &str = "\
listen bench
    bind 127.0.0.1:{listen}
    server target 127.0.0.1:{target}
";

pub(super) const HAPROXY_LISTEN_SPLICE: &str = "\
listen bench
    bind 127.0.0.1:{listen}
    server target 127.0.0.1:{target}
    option splice-request
    option splice-response
";

pub(super) const NGINX: &str = "\
{nginx_stream}
daemon off;
pid {dir}/nginx.pid;
worker_processes 2;
worker_rlimit_nofile 20000;
events { worker_connections 8192; }
stream {
    server {
        listen 127.0.0.1:{listen};
        proxy_pass 127.0.0.1:{target};
    }
}
";

pub(super) const STUNNEL_SERVER: &str = "\
foreground = yes
pid =
syslog = no
debug = 3
[bench]
accept = 127.0.0.1:{hop}
connect = 127.0.0.1:{target}
cert = {dir}/cert.pem
";

pub(super) const STUNNEL_CLIENT: &str = "\
foreground = yes
pid =
syslog = no
debug = 3
[bench]
client = yes
accept = 127.0.0.1:{listen}
connect = 127.0.0.1:{hop}
";

/// A certificate for nobody, and its key: nothing trusts it.
pub(super) const STUNNEL_CERT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgjCCASegAwIBAgIUf48gJf83X0Rhhxj/zj1udi/8RfIwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKYmVuY2gudGVzdDAgFw0yNjExMjExNTMxMzVaGA8yMTI2MTAy
ODE1MzEzNVowFTETMBEGA1UEAwwKYmVuY2gudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABGw3auUguzqR+CpEwjKTE5v4hG/Zi0UyD7gAPLKvQUGA0lSk1Ipf
OcBtPEgIMKnHOygeUnOnGX3R8T/yYojCiECjUzBRMB0GA1UdDgQWBBRfhPT3biy/
06fHg0ioha2fCJW7iDAfBgNVHSMEGDAWgBRfhPT3biy/06fHg0ioha2fCJW7iDAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCBjqDQPM4xux1pFsjl
KHqIq6Z0AGrpssho0S02vTEkcAIhAI4nKkWuKH2Gs48mTdlNsmQlzqh+WBQrMemJ
QXh2KrGW
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdk0SDNE/IHmyyrAS
7EkGvr8D47V0hXcgdXwzNDhVkgehRANCAARsN2rlILs6kfgqRMIykxOb+IRv2YtF
Mg+4ADyyr0FBgNJUpNSKXznAbTxICDCpxzsoHlJzpxl90fE/8mKIwohA
-----END PRIVATE KEY-----
";

/// As kcptun's server with the command line below, windows and all.
pub(super) const KCP_SERVER: &[&str] = &[
    "-L",
    "forward+kcp://127.0.0.1:{hop}/127.0.0.1:{target}?kcp.key=bench&kcp.crypt=aes&kcp.mode=fast\
     &kcp.mtu=1350&kcp.sndwnd=1024&kcp.rcvwnd=1024",
];

/// As kcptun's client.
pub(super) const KCP_CLIENT: &[&str] = &[
    "-L",
    "tcp://127.0.0.1:{listen}",
    "-F",
    "forward+kcp://127.0.0.1:{hop}?kcp.key=bench&kcp.crypt=aes&kcp.mode=fast\
     &kcp.mtu=1350&kcp.sndwnd=128&kcp.rcvwnd=512",
];

pub(super) const KCPTUN_SERVER: &[&str] = &[
    "-l",
    "127.0.0.1:{hop}",
    "-t",
    "127.0.0.1:{target}",
    "--key",
    "bench",
    "--crypt",
    "aes",
    "--mode",
    "fast",
    "--quiet",
];

pub(super) const KCPTUN_CLIENT: &[&str] = &[
    "-l",
    "127.0.0.1:{listen}",
    "-r",
    "127.0.0.1:{hop}",
    "--key",
    "bench",
    "--crypt",
    "aes",
    "--mode",
    "fast",
    "--quiet",
];
