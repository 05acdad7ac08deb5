//! What the faces beside the command line cost: supervisord's interface next to supervisord, a scrape of the metrics, a listener
//! that nobody uses, and restarts beside a crowd of clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::clock::{milliseconds, monotonic_ns, process_cpu_ns};
use crate::error::{Context, Result};
use crate::measure::{Kind, Measure, Sample};
use crate::peers::{Peer, Supervice};
use crate::procfs;
use crate::running::Running;
use crate::site::Site;

/// Programs that `getAllProcessInfo` is asked about.
pub const CALLED: usize = 100;
/// Programs whose metrics are scraped.
pub const SCRAPED: usize = 1000;
/// Programs that are killed beside a crowd.
pub const CRASHING: usize = 120;
/// Clients that follow what happens.
const FOLLOWING: usize = 100;
/// Requests that never become whole.
const HALF: usize = 500;
/// How old programs are when they are measured: what is younger is restarted later.
const SETTLED: Duration = Duration::from_secs(3);
/// Programs that are killed before the crowd comes or goes.
const DEATHS: usize = 10;
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

fn measure(title: String, unit: &'static str, goal: Option<f64>) -> Measure {
    Measure { goal, ..Measure::new(Kind::Http, title, unit) }
}

/// How long one `getAllProcessInfo` takes, one behind the other on one connection.
pub fn calls(peer: &dyn Peer, site: Site) -> Result<Vec<Sample>> {
    let Some(socket) = peer.rpc_socket(&site) else { return Ok(Vec::new()) };
    let n = site.n;
    let command = peer.daemon(&site)?;
    let mut running = Running::launch(site, command)?;
    running.started(n)?;
    running.let_age(SETTLED);
    let body =
        "<?xml version='1.0'?><methodCall><methodName>supervisor.getAllProcessInfo</methodName><params/></methodCall>";
    let request = format!("POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = BufReader::with_capacity(1 << 16, connect(&socket)?);
    let answer = ask(&mut stream, &request)?;
    let named = answer.windows(13).filter(|part| part == b"<name>name</n").count();
    if named != n {
        return Err(format!("getAllProcessInfo tells of {named} programs in place of {n}"));
    }
    let (began, mut count) = (Instant::now(), 0);
    while count < 20 || began.elapsed() < Duration::from_secs(2) {
        ask(&mut stream, &request)?;
        count += 1;
    }
    let each = began.elapsed().as_secs_f64() * 1e3 / f64::from(count);
    running.stop(peer.stop_signal())?;
    Ok(vec![(measure(format!("getAllProcessInfo of {n}"), "ms", None), each)])
}

/// How long a scrape takes for which the kernel has to be asked about each program.
pub fn scrape(site: Site) -> Result<Vec<Sample>> {
    let ours = Supervice::ours();
    let n = site.n;
    let command = ours.run(&site, &ours.configuration(&site, ""))?;
    let mut running = Running::launch(site, command)?;
    running.started(n)?;
    running.let_age(SETTLED);
    let mut stream = BufReader::with_capacity(1 << 16, connect(&Supervice::socket(&running.site))?);
    let mut samples = Vec::new();
    for _ in 0..5 {
        // What the kernel has told within a second would not be asked for again.
        thread::sleep(Duration::from_millis(1100));
        let (began_ns, cpu_ns) = (monotonic_ns(), process_cpu_ns(running.pid));
        let text = ask(&mut stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        samples.push((measure(format!("/metrics of {n}"), "ms", Some(10.0)), milliseconds(began_ns, monotonic_ns())));
        let cpu = milliseconds(cpu_ns, process_cpu_ns(running.pid));
        samples.push((measure(format!("/metrics of {n}, CPU time"), "ms", None), cpu));
        let told = text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"supervice_process_open_fds{"));
        let told = told.count();
        if told != n {
            return Err(format!("/metrics tells of {told} programs in place of {n}"));
        }
        let began_ns = monotonic_ns();
        let text = ask(&mut stream, "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        samples.push((measure(format!("status as JSON of {n}"), "ms", None), milliseconds(began_ns, monotonic_ns())));
        let told = text.windows(9).filter(|part| part == b"{\"name\":\"").count();
        if told != n {
            return Err(format!("the status tells of {told} programs in place of {n}"));
        }
    }
    running.stop(Signal::SIGTERM)?;
    Ok(samples)
}

/// What a listener costs that nobody has used: the memory with it, less that without. One daemon differs from the next by 60 KiB
/// either way, by how its heap has come to lie: the medians of several are compared.
pub fn unused(pairs: Vec<(Site, Site)>) -> Result<Vec<Sample>> {
    let ours = Supervice::ours();
    let memory = |site: Site, more: &str| -> Result<f64> {
        let n = site.n;
        let configuration = ours.configuration(&site, "") + more;
        let command = ours.run(&site, &configuration)?;
        let mut running = Running::launch(site, command)?;
        running.started(n)?;
        running.let_age(SETTLED);
        let pss = procfs::memory(&running.processes())?.pss;
        running.stop(Signal::SIGTERM)?;
        Ok(pss as f64)
    };
    let (mut without, mut with, mut n) = (Vec::new(), Vec::new(), 0);
    for (plain, listening) in pairs {
        n = plain.n;
        with.push(memory(listening, &format!("[http]\nlisten = 127.0.0.1:{}\n", free_port()?))?);
        without.push(memory(plain, "")?);
    }
    let more = median(&mut with) - median(&mut without);
    Ok(vec![(measure(format!("PSS of an [http] that nobody uses, with {n}"), "KiB", Some(40.0)), more)])
}

/// `kill -9` to the first instruction of the next run, in turn with a crowd of clients and without one.
pub fn crowd(site: Site) -> Result<Vec<Sample>> {
    let ours = Supervice::ours();
    let n = site.n;
    let port = free_port()?;
    let configuration = ours.configuration(&site, "") + &format!("[http]\nlisten = 127.0.0.1:{port}\n");
    let command = ours.run(&site, &configuration)?;
    let mut running = Running::launch(site, command)?;
    running.started(n)?;
    running.let_age(SETTLED);
    let socket = Supervice::socket(&running.site);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (number, victims) in running.victims().chunks(DEATHS).enumerate() {
        let is_beside = number % 2 == 1;
        let crowd = is_beside.then(|| Crowd::new(&socket, port)).transpose()?;
        let times = if is_beside { &mut with } else { &mut without };
        for victim in victims {
            times.push(running.respawn(*victim)?);
            thread::sleep(Duration::from_millis(25));
        }
        crowd.into_iter().for_each(Crowd::end);
    }
    running.stop(Signal::SIGTERM)?;
    let ratio = median(&mut with) / median(&mut without);
    let title = |what: &str| format!("respawn {what} {FOLLOWING} event streams, {HALF} half requests, 10 MiB bodies");
    let each = |what: &str, times: Vec<f64>| {
        let measure = measure(title(what), "ms", None);
        times.into_iter().map(move |time| (measure.clone(), time))
    };
    let ratio = (measure(title("ratio beside"), "", Some(1.05)), ratio);
    Ok(each("without", without).chain(each("beside", with)).chain([ratio]).collect())
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Everything that a crowd holds open, the one thread that reads what it is sent (the time that a hundred readers take from two
/// CPUs is not the daemon's), and one that sends bodies that nobody takes.
struct Crowd {
    held: Vec<TcpStream>,
    threads: [JoinHandle<()>; 2],
    is_over: Arc<AtomicBool>,
}

impl Crowd {
    fn new(socket: &Path, port: u16) -> Result<Crowd> {
        let mut following = Vec::new();
        // One more, which takes nothing.
        for _ in 0..=FOLLOWING {
            let mut stream = connect(socket)?;
            stream
                .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .context("cannot ask for events")?;
            // Its head says that it is told of what happens from now on.
            stream.read_exact(&mut [0; 64]).context("no events")?;
            stream.set_nonblocking(true).context("cannot make it non-blocking")?;
            following.push(stream);
        }
        let mut held = Vec::new();
        for number in 0..HALF {
            // Most are turned away, or make room for the next ones.
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let begin: &[u8] = match number % 3 {
                0 => b"GET /livez HTTP/1.1\r\nHost: loc",
                // The first record of TLS, and then nothing.
                1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                _ => b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n<",
            };
            let _ = stream.write_all(begin);
            held.push(stream);
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(100));
                for stream in following.iter_mut().skip(1) {
                    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
                }
            }
        });
        let over = Arc::clone(&is_over);
        let sender = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                send_large(port);
                thread::sleep(Duration::from_millis(100));
            }
        });
        thread::sleep(Duration::from_millis(100));
        Ok(Crowd { held, threads: [reader, sender], is_over })
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(self.held);
        for thread in self.threads {
            let _ = thread.join();
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Sends as much of a body of 10 MiB as the daemon lets come.
fn send_large(port: u16) {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let head = "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10485760\r\n\r\n";
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    for _ in 0..160 {
        if stream.write_all(&PIECE).is_err() {
            return;
        }
    }
}

fn connect(socket: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(socket).context(format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(TEST_TIMEOUT)).context("cannot set a time-out")?;
    Ok(stream)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port")?;
    Ok(listener.local_addr().context("cannot find a free port")?.port())
}

/// Sends a request and gives the body of its answer, which is 200.
fn ask(stream: &mut BufReader<UnixStream>, request: &str) -> Result<Vec<u8>> {
    stream.get_mut().write_all(request.as_bytes()).context("cannot ask")?;
    let (mut line, mut length, mut is_first) = (String::new(), 0, true);
    loop {
        line.clear();
        stream.read_line(&mut line).context("no answer")?;
        if std::mem::take(&mut is_first) && !line.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the answer is {}", line.trim()));
        }
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().context("a bad length")?;
            }
            Some(_) => {}
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).context("half an answer")?;
    Ok(body)
}
