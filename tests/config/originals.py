"""What both originals read in configuration files: the expectation of the differential tests.

Standard input: a JSON list of [dialect, path]. Standard output: for each of them {"error": TEXT}, or what the file comes to.
"""
import io
import json
import os
import shlex
import sys


def split(command):
    try:
        return shlex.split(command)
    except ValueError as error:
        return "no words"


def log(value):
    from supervisor.options import Automatic
    return None if value in (Automatic, None, "") else value


def supervisord(path):
    from supervisor import options as module
    options = module.ServerOptions()
    options.stderr = io.StringIO()

    def usage(message):
        raise ValueError(message)

    options.usage = usage
    options.realize(["-c", path], doc="", progname="supervisord")
    processes = []
    for group in options.process_group_configs:
        socket = getattr(group, "socket_config", None)
        for process in group.process_configs:
            restart = process.autorestart
            name = getattr(restart, "__name__", "")
            processes.append({
                "group": group.name,
                "process_name": process.name,
                "name": module.make_namespec(group.name, process.name),
                "argv": split(process.command),
                "environment": process.environment,
                "directory": process.directory,
                "uid": process.uid,
                "umask": process.umask,
                "priority": process.priority,
                "autostart": process.autostart,
                "autorestart": {"RestartUnconditionally": True, "RestartWhenExitUnexpected": "unexpected"}.get(name, False),
                "startsecs": process.startsecs,
                "startretries": process.startretries,
                "stopsignal": int(process.stopsignal),
                "stopwaitsecs": process.stopwaitsecs,
                "stopasgroup": process.stopasgroup,
                "killasgroup": process.killasgroup,
                "exitcodes": process.exitcodes,
                "redirect_stderr": process.redirect_stderr,
                "stdout_logfile": log(process.stdout_logfile),
                "stdout_logfile_maxbytes": process.stdout_logfile_maxbytes,
                "stdout_logfile_backups": process.stdout_logfile_backups,
                "stdout_syslog": process.stdout_syslog,
                "stderr_logfile": log(process.stderr_logfile),
                "stderr_logfile_maxbytes": process.stderr_logfile_maxbytes,
                "stderr_logfile_backups": process.stderr_logfile_backups,
                "stderr_syslog": process.stderr_syslog,
                # In a [group:x] it would be lost there.
                "socket": None if socket is None else {
                    "url": socket.url,
                    "backlog": socket.get_backlog(),
                    "mode": getattr(socket, "mode", None),
                    "owner": list(socket.owner) if getattr(socket, "owner", None) else None,
                },
                "serverurl": (options.serverurl if process.serverurl is None else process.serverurl) or None,
            })
    sockets = [server for server in options.configroot.supervisord.server_configs if "file" in server]
    return {
        "processes": processes,
        "logfile": options.logfile,
        "pidfile": options.pidfile,
        "log_maxbytes": options.logfile_maxbytes,
        "log_backups": options.logfile_backups,
        "socket": sockets[0]["file"] if sockets else None,
        "socket_mode": sockets[0]["chmod"] if sockets else None,
    }


def supervice(path):
    import signal
    from supervice.config import parse_config
    from supervice.core import Supervisor
    config = parse_config(path)
    processes = []
    for program in config.programs:
        for number in range(program.numprocs):
            process = Supervisor._instance_config(program, number)
            processes.append({
                "name": process.name,
                "group": program.group,
                "argv": split(process.command),
                "environment": process.environment,
                "directory": process.directory or None,
                "user": process.user or None,
                "autostart": process.autostart,
                "autorestart": process.autorestart,
                "startsecs": process.startsecs,
                "startretries": process.startretries,
                "stopsignal": int(getattr(signal, "SIG" + process.stopsignal.upper().removeprefix("SIG"))),
                "stopwaitsecs": process.stopwaitsecs,
                "stdout_logfile": process.stdout_logfile or None,
                "stdout_logfile_maxbytes": process.stdout_logfile_maxbytes,
                "stdout_logfile_backups": process.stdout_logfile_backups,
                "stderr_logfile": process.stderr_logfile or None,
                "stderr_logfile_maxbytes": process.stderr_logfile_maxbytes,
                "stderr_logfile_backups": process.stderr_logfile_backups,
                "pdeathsig": process.pdeathsig,
                "reconcile": process.reconcile,
                "healthcheck": {
                    "type": process.healthcheck.type.value,
                    "interval": process.healthcheck.interval,
                    "timeout": process.healthcheck.timeout,
                    "retries": process.healthcheck.retries,
                    "start_period": process.healthcheck.start_period,
                    "port": process.healthcheck.port,
                    "host": process.healthcheck.host,
                    "command": process.healthcheck.command or None,
                },
            })
    return {
        "processes": processes,
        "logfile": config.logfile or None,
        "pidfile": config.pidfile or None,
        "loglevel": {"WARN": "WARNING"}.get(config.loglevel.upper(), config.loglevel.upper()),
        "socket": config.socket_path,
        "shutdown_timeout": config.shutdown_timeout,
        "log_maxbytes": config.log_maxbytes,
        "log_backups": config.log_backups,
    }


answers = []
for dialect, path in json.load(sys.stdin):
    os.chdir(os.path.dirname(path))
    try:
        answers.append(supervisord(path) if dialect == "supervisord" else supervice(path))
    except (Exception, SystemExit) as error:
        answers.append({"error": "%s: %s" % (type(error).__name__, error)})
json.dump(answers, sys.stdout)
