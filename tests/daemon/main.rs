//! The real daemon, watched from outside: through its socket, its signals and /proc.

mod a_real_stack;
#[cfg(feature = "http")]
mod access;
#[cfg(feature = "http")]
mod access_first;
mod harness;

#[cfg(feature = "web-page")]
mod browser;
mod cases;
mod changes;
mod clock;
mod confinement;
mod crowd;
mod demo;
mod dependencies;
mod disks;
mod embed;
mod failures;
mod fcgi;
mod forking;
mod frames;
mod health;
mod hooks;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_crowd;
#[cfg(feature = "http")]
mod http_errors;
mod hung;
mod interop;
mod kinds;
mod leftovers;
mod lifecycle;
mod listeners;
mod lossless;
mod notify;
mod operate;
mod originals;
mod orphans;
mod output;
mod output_watch;
#[cfg(feature = "web-page")]
mod page;
#[cfg(feature = "web-page")]
mod page_accessibility;
#[cfg(feature = "web-page")]
mod page_program;
mod panics;
mod pause;
mod policies;
mod policies_over_time;
#[cfg(feature = "http")]
mod proxies;
mod races;
mod readiness;
mod reload;
mod reports;
#[cfg(feature = "xmlrpc")]
mod rpc_failures;
#[cfg(feature = "xmlrpc")]
mod rpc_suite;
#[cfg(feature = "attach")]
mod run;
mod scale;
mod schedules;
mod servers;
mod shortage;
mod soak;
mod start_conditions;
mod start_stop;
mod state;
mod stdin;
mod storm;
mod supervisord_clients;
mod supervisord_tools;
mod templates;
mod terminal;
mod vanished;
#[cfg(feature = "http")]
mod web_failures;
#[cfg(not(feature = "attach"))]
mod without_attach;
#[cfg(not(feature = "http"))]
mod without_http;
#[cfg(all(feature = "http", not(feature = "web-page")))]
mod without_page;
