# What supervisor's own tests of its RPC interface (supervisor/tests/test_rpcinterfaces.py, 4.3.0) expect of each method, of a
# running daemon: `server` is a proxy of it, `proxy()` makes another one. The first column is the name of the test without `test_`.
#
# Not here, for want of a way to bring it about from outside: states UNKNOWN (startProcess_unknown_state,
# getProcessInfo_unknown_state), signals that the kernel refuses to root (stopProcess_failed, signalProcess_signal_returns_message),
# clocks beyond 2038 or behind a start (getProcessInfo_caps_timestamps…, _interpretProcessInfo_doesnt_report_negative_uptime),
# other failures of a write than EPIPE (sendProcessStdin_reraises_other_oserrors), what only Python code could see (ctor, traverse,
# make_allfunc, filters_types_not_compatible_with_xmlrpc). Not clearLog_unreadable: a log that somebody has removed is there again
# with our next line, and the command is one.
import os, threading, time

s, system = server.supervisor, server.system
HERE = 'DIR'
BAD_NAME, NO_FILE, FAILED, INCORRECT, BAD_ARGUMENTS, NOT_RUNNING, NOT_EXECUTABLE = 10, 20, 30, 2, 3, 70, 21


def path(name): return os.path.join(HERE, name)


def write(name, text):
    with open(path(name), 'w') as file: file.write(text)


def until(what):
    end = time.time() + 60
    while not what():
        if time.time() > end: raise SystemExit('it never came about')
        time.sleep(0.02)


def row(test, call, want):
    """One line: the test, and what has come; also what was expected, where that is something else."""
    try: got = call()
    except x.Fault as fault: got = fault.faultCode
    if isinstance(got, list) and got and isinstance(got[0], dict):
        # Several are told in the order in which they are done.
        got = sorted((one['group'], one['name'], one['status'], one['description']) for one in got)
    print(test, got, '' if got == want else 'WRONG: %r is expected' % (want,))


def state(name): return s.getProcessInfo(name)['statename']


def both(status, description): return [('foo', name, status, description) for name in ('process1', 'process2')]


OK = both(80, 'OK')


def of_the_daemon():
    row('getAPIVersion', s.getAPIVersion, '3.0')
    row('getAPIVersion_aliased_to_deprecated_getVersion', s.getVersion, '3.0')
    row('getSupervisorVersion', s.getSupervisorVersion, '4.3.0')
    row('getIdentification', s.getIdentification, 'ident')
    row('getState', s.getState, {'statecode': 1, 'statename': 'RUNNING'})
    row('getPID', s.getPID, int(open(path('pid')).read()))
    log = path('log')
    for name in ('readLog', 'readMainLog'):
        read = getattr(s, name)
        write('log', 'x' * 2048 + 'y' * 2048)
        row(name + '_badargs', lambda: read(-1, 1), BAD_ARGUMENTS)
        row(name + '_badargs', lambda: read(-1, -1), BAD_ARGUMENTS)
        row(name, lambda: read(0, 4096) == 'x' * 2048 + 'y' * 2048, True)
        row(name, lambda: read(2048, 2048) == 'y' * 2048, True)
        row(name, lambda: read(0, 2048) == 'x' * 2048, True)
        row(name, lambda: len(read(-4, 0)), 4)
    os.remove(log)
    row('readLog_unreadable', lambda: s.readLog(0, 1), NO_FILE)
    os.mkdir(log)
    row('clearLog_unremoveable', s.clearLog, FAILED)
    os.rmdir(log)
    write('log', 'old\n')
    row('clearLog', s.clearLog, True)
    row('clearLog', lambda: 'old' in open(log).read(), False)


def of_groups():
    conf = open(path('conf')).read()
    row('reloadConfig', s.reloadConfig, [[[], [], []]])
    write('conf', conf.replace('[program:dropped]', '[program:added]').replace('sleep 1001', 'sleep 1002'))
    row('reloadConfig', s.reloadConfig, [[['added'], ['changed'], ['dropped']]])
    row('addProcessGroup', lambda: s.addProcessGroup('added'), True)
    row('addProcessGroup', lambda: s.addProcessGroup('added'), 90)
    row('addProcessGroup', lambda: s.addProcessGroup('asdf'), BAD_NAME)
    row('removeProcessGroup', lambda: s.removeProcessGroup('added'), True)
    row('removeProcessGroup_bad_name', lambda: s.removeProcessGroup('asdf'), BAD_NAME)
    row('removeProcessGroup_still_running', lambda: s.removeProcessGroup('ok'), 91)
    write('conf', conf + '[program:broken]\nstartsecs=soon\n')
    row('reloadConfig_process_config_raises_ValueError', s.reloadConfig, 92)
    write('conf', conf)
    row('reloadConfig', s.reloadConfig, [[[], [], []]])


def of_starts():
    row('startProcess_already_started', lambda: s.startProcess('ok'), 60)
    row('startProcess_bad_group_name', lambda: s.startProcess('group2:foo'), BAD_NAME)
    row('startProcess_bad_process_name', lambda: s.startProcess('ok:bar'), BAD_NAME)
    row('startProcess_file_not_found', lambda: s.startProcess('nowhere'), NO_FILE)
    row('startProcess_bad_command', lambda: s.startProcess('torn'), NOT_EXECUTABLE)
    row('startProcess_file_not_executable', lambda: s.startProcess('flat'), NOT_EXECUTABLE)
    row('startProcess_spawnerr', lambda: s.startProcess('bad'), 50)
    row('startProcess', lambda: s.startProcess('off'), True)
    row('startProcess', lambda: state('off'), 'RUNNING')
    row('startProcess_spawnerr_in_onwait', lambda: s.startProcess('dies'), 50)
    row('startProcess_success_in_onwait', lambda: s.startProcess('late'), True)
    row('startProcess_success_in_onwait', lambda: state('late'), 'RUNNING')
    row('stopProcess', lambda: s.stopProcess('late'), True)
    row('startProcess_nowait', lambda: s.startProcess('late', False), True)
    row('startProcess_nowait', lambda: state('late'), 'STARTING')
    s.stopProcess('late')
    # Somebody else stops what is waited for.
    def stop():
        other = proxy().supervisor
        until(lambda: other.getProcessInfo('later')['statename'] == 'STARTING')
        other.stopProcess('later')
    thread = threading.Thread(target=stop)
    thread.start()
    row('startProcess_abnormal_term_process_not_running', lambda: s.startProcess('later'), 40)
    thread.join()


def of_several():
    def up(): until(lambda: all(os.path.exists(path(name)) for name in ('process1.up', 'process2.up')))
    def down():
        for name in ('process1.up', 'process2.up'): os.remove(path(name))
    for test, start, stop in (
        ('Process_splat_calls_%sProcessGroup', lambda: s.startProcess('foo:*'), lambda: s.stopProcess('foo:*')),
        ('ProcessGroup', lambda: s.startProcessGroup('foo'), lambda: s.stopProcessGroup('foo')),
        ('ProcessGroup_nowait', lambda: s.startProcessGroup('foo', False), lambda: s.stopProcessGroup('foo', False)),
    ):
        row('start' + test.replace('%s', 'start'), start, OK)
        row('start', lambda: [state('foo:process1'), state('foo:process2')], ['RUNNING'] * 2)
        up()
        row('stop' + test.replace('%s', 'stop'), stop, OK)
        until(lambda: [state('foo:process1'), state('foo:process2')] == ['STOPPED'] * 2)
        down()
    # The first two would never be done; the log of the third is to be there when it is written.
    for name in ('later', 'deaf', 'logged'): s.removeProcessGroup(name)
    def ours(all): return [one for one in all if one['group'] == 'foo']
    for test, more in (('', ()), ('_nowait', (False,))):
        row('startAllProcesses' + test, lambda: ours(s.startAllProcesses(*more)), OK)
        up()
        row('stopAllProcesses' + test, lambda: ours(s.stopAllProcesses(*more)), OK)
        until(lambda: all(one['statename'] != 'STOPPING' for one in s.getAllProcessInfo()))
        down()
    for name in ('later', 'deaf', 'logged'): s.addProcessGroup(name)
    row('startProcessGroup_badname', lambda: s.startProcessGroup('asdf'), BAD_NAME)
    row('stopProcessGroup_badname', lambda: s.stopProcessGroup('asdf'), BAD_NAME)
    s.startProcessGroup('foo')
    up()
    for test, signal, send in (
        ('signalProcess_with_signal_number', 'USR1', lambda: s.signalProcess('foo:process1', 10)),
        ('signalProcess_with_signal_name', 'QUIT', lambda: s.signalProcess('foo:process1', 'quit')),
        ('signalProcess_withgroup', 'USR1', lambda: s.signalProcess('foo:*', 10)),
        ('signalProcessGroup_with_signal_number', 'USR1', lambda: s.signalProcessGroup('foo', 10)),
        ('signalProcessGroup_with_signal_name', 'HUP', lambda: s.signalProcessGroup('foo', 'hup')),
        ('signalAllProcesses_with_signal_number', 'USR1', lambda: ours(s.signalAllProcesses(10))),
        ('signalAllProcesses_with_signal_name', 'HUP', lambda: ours(s.signalAllProcesses('hup'))),
    ):
        write('got', '')
        one = '%s' in test or send.__code__.co_names[-1] == 'signalProcess' and 'group' not in test
        row(test, send, True if one else OK)
        wanted = ['process1 ' + signal] + ([] if one else ['process2 ' + signal])
        until(lambda: sorted(open(path('got')).read().split('\n')[:-1]) == wanted)
    row('signalProcess_badsignal', lambda: s.signalProcess('foo:process1', 155), 11)
    row('signalProcessGroup_nosuchgroup', lambda: s.signalProcessGroup('bar', 10), BAD_NAME)
    s.stopProcessGroup('foo')
    row('signalProcess_notrunning', lambda: s.signalProcess('foo:process1', 10), NOT_RUNNING)
    row('stopProcess_not_running', lambda: s.stopProcess('foo:process1'), NOT_RUNNING)
    row('stopProcess_bad_name', lambda: s.stopProcess('asdf'), BAD_NAME)


def of_what_does_not_end():
    s.startProcess('deaf')
    until(lambda: os.path.exists(path('deaf.up')))
    row('stopProcess_nowait', lambda: s.stopProcess('deaf', False), True)
    row('stopProcess_nowait', lambda: state('deaf'), 'STOPPING')
    row('signalProcess_stopping', lambda: s.signalProcess('deaf', 10), True)
    row('sendProcessStdin_raises_not_running_when_killing', lambda: s.sendProcessStdin('deaf', 'chars for stdin'), NOT_RUNNING)
    def later():
        time.sleep(0.2)
        os.kill(proxy().supervisor.getProcessInfo('deaf')['pid'], 9)
    threading.Thread(target=later).start()
    until(lambda: state('deaf') == 'STOPPED')


def of_what_never_ran():
    info = s.getProcessInfo('never')
    row('getProcessInfo', lambda: [info[key] for key in ('name', 'pid', 'start', 'stop', 'state', 'statename', 'exitstatus',
        'spawnerr', 'description')], ['never', 0, 0, 0, 0, 'STOPPED', 0, '', 'Not started'])
    row('getProcessInfo', lambda: [info[key] for key in ('logfile', 'stdout_logfile', 'stderr_logfile')],
        [path('never.log'), path('never.log'), ''])
    row('getAllProcessInfo', lambda: [one for one in s.getAllProcessInfo() if one['name'] == 'never'][0]['description'], 'Not started')
    config = [one for one in s.getAllConfigInfo() if one['name'] == 'never'][0]
    wanted = {'autostart': False, 'stopwaitsecs': 10, 'stdout_events_enabled': False, 'stderr_events_enabled': False, 'group': 'never',
        'stdout_capture_maxbytes': 0, 'name': 'never', 'stopsignal': 15, 'stderr_syslog': False, 'group_prio': 999, 'killasgroup': False,
        'process_prio': 999, 'stdout_syslog': False, 'startsecs': 0, 'redirect_stderr': False, 'stdout_logfile': path('never.log'),
        'exitcodes': [0], 'stderr_capture_maxbytes': 0, 'startretries': 3, 'inuse': True, 'stderr_logfile': 'none',
        'stdout_logfile_maxbytes': 50 << 20, 'stdout_logfile_backups': 10, 'command': 'sleep 1000'}
    row('getAllConfigInfo', lambda: {key: config[key] for key in wanted}, wanted)


def of_runs():
    s.startProcess('ok')
    info = s.getProcessInfo('ok')
    row('getProcessInfo', lambda: [info[key] for key in ('state', 'statename', 'exitstatus', 'spawnerr')], [20, 'RUNNING', 0, ''])
    row('_interpretProcessInfo', lambda: info['description'].startswith('pid %s, uptime 0:0' % info['pid']), True)
    row('getProcessInfo_logfile_NONE', lambda: [info['logfile'], info['stdout_logfile']], ['', ''])
    s.stopProcess('ok')
    info = s.getProcessInfo('ok')
    end = time.strftime('%b %d %I:%M %p', time.localtime(info['stop']))
    row('_interpretProcessInfo', lambda: info['description'] == end, True)
    row('_interpretProcessInfo', lambda: s.getProcessInfo('bad')['description'] != '', True)
    row('getProcessInfo_bad_name_when_bad_process', lambda: s.getProcessInfo('nonexistent'), BAD_NAME)
    row('getProcessInfo_bad_name_when_no_process', lambda: s.getProcessInfo('foo:'), BAD_NAME)
    names = [(one['group'], one['name']) for one in s.getAllProcessInfo()]
    row('getAllProcessInfo', lambda: names == sorted(names) and len(names) > 10, True)


def of_logs():
    letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
    for kind, end in (('Stdout', 'log'), ('Stderr', 'err')):
        file = 'logged.' + end
        names = ['readProcess%sLog' % kind] + (['readProcessLog'] if kind == 'Stdout' else [])
        for name in names:
            read = getattr(s, name)
            if os.path.exists(path(file)): os.remove(path(file))
            row(name + '_unreadable', lambda: read('logged', 0, 1), NO_FILE)
            write(file, 'x' * 2048 + 'y' * 2048)
            row(name + '_badargs', lambda: read('logged', -1, 1), BAD_ARGUMENTS)
            row(name + '_badargs', lambda: read('logged', -1, -1), BAD_ARGUMENTS)
            row(name + '_bad_name_no_process', lambda: read('logged:*', 0, 1), BAD_NAME)
            row(name, lambda: read('logged', 0, 0) == 'x' * 2048 + 'y' * 2048, True)
            row(name, lambda: read('logged', 2048, 0) == 'y' * 2048, True)
            row(name, lambda: read('logged', 0, 2048) == 'x' * 2048, True)
            row(name, lambda: read('logged', -4, 0), 'yyyy')
        names = ['tailProcess%sLog' % kind] + (['tailProcessLog'] if kind == 'Stdout' else [])
        for name in names:
            tail = getattr(s, name)
            row(name + '_bad_name', lambda: tail('BAD_NAME', 0, 10), BAD_NAME)
            row(name + '_bad_name_no_process', lambda: tail('logged:*', 0, 10), BAD_NAME)
            write(file, letters)
            row(name + '_all', lambda: tail('logged', 0, len(letters)), [letters, len(letters), False])
            row(name + '_none', lambda: tail('logged', len(letters), 100), ['', len(letters), False])
            row(name + '_none', lambda: tail('logged', len(letters) + 5, 100), ['', len(letters), False])
            row(name + '_overflow', lambda: tail('logged', 0, 5), [letters[-5:], len(letters), True])
            os.remove(path(file))
            row(name + '_unreadable', lambda: tail('logged', 0, 100), ['', 0, False])
    for name in ('clearProcessLogs', 'clearProcessLog'):
        clear = getattr(s, name)
        row(name + '_bad_name_no_group', lambda: clear('badgroup'), BAD_NAME)
        row(name + '_bad_name_no_process', lambda: clear('foo:*'), BAD_NAME)
    s.startProcess('logged')
    write('logged.log', letters)
    row('clearProcessLogs', lambda: s.clearProcessLogs('logged'), True)
    row('clearProcessLogs', lambda: os.path.getsize(path('logged.log')), 0)


def of_all_logs():
    # It takes a second for each process.
    s.stopAllProcesses()
    for group in {one['group'] for one in s.getAllProcessInfo()} - {'logged', 'off'}: s.removeProcessGroup(group)
    s.startProcess('logged')
    row('clearAllProcessLogs', s.clearAllProcessLogs, [('logged', 'logged', 80, 'OK'), ('off', 'off', 80, 'OK')])
    # What is no file can't be removed.
    os.remove(path('logged.log'))
    os.mkdir(path('logged.log'))
    row('clearProcessLogs_failed', lambda: s.clearProcessLogs('logged'), FAILED)
    # Ours adds why.
    def told(one): return dict(one, description=one['description'].partition(': cannot ')[0])
    row('clearAllProcessLogs_onefails', lambda: [told(one) for one in s.clearAllProcessLogs()],
        [('logged', 'logged', FAILED, 'FAILED: logged'), ('off', 'off', 80, 'OK')])
    s.stopProcess('logged')
    for group in ('logged', 'off'): s.removeProcessGroup(group)
    row('clearAllProcessLogs_no_processes', s.clearAllProcessLogs, [])
    s.addProcessGroup('deaf')
    s.addProcessGroup('off')


def of_input():
    row('sendProcessStdin_raises_incorrect_params_when_not_chars', lambda: s.sendProcessStdin('cat', 42), INCORRECT)
    row('sendProcessStdin_raises_bad_name_when_bad_process', lambda: s.sendProcessStdin('nonexistent', 'chars for stdin'), BAD_NAME)
    row('sendProcessStdin_raises_bad_name_when_no_process', lambda: s.sendProcessStdin('foo:*', 'chars for stdin'), BAD_NAME)
    row('sendProcessStdin_raises_not_running_when_not_process_pid', lambda: s.sendProcessStdin('never', 'chars for stdin'), NOT_RUNNING)
    os.remove(path('shut.up'))
    s.startProcess('shut')
    until(lambda: os.path.exists(path('shut.up')))
    # What is written first finds that out.
    try: s.sendProcessStdin('shut', 'chars')
    except x.Fault: pass
    row('sendProcessStdin_raises_no_file_when_write_raises_epipe', lambda: s.sendProcessStdin('shut', 'chars for stdin'), NO_FILE)
    s.startProcess('cat')
    row('sendProcessStdin_writes_chars_and_returns_true', lambda: s.sendProcessStdin('cat', 'chars for stdin\n'), True)
    until(lambda: 'chars for stdin' in open(path('cat.log')).read())
    row('sendProcessStdin_unicode_encoded_to_utf8', lambda: s.sendProcessStdin('cat', 'fi\u00ed\n'), True)
    until(lambda: b'fi\xc3\xad\n' in open(path('cat.log'), 'rb').read())
    s.startProcess('told')
    until(lambda: os.path.exists(path('told.up')))
    for test, kind, data in (('notifies_subscribers', 'foo', 'bar'), ('unicode_encoded_to_utf8', 'fi\u00ed once', 'fi\u00ed twice')):
        row('sendRemoteCommEvent_' + test, lambda: s.sendRemoteCommEvent(kind, data), True)
        # It is told how many letters come, and reads as many bytes.
        text = ('type:%s\n%s' % (kind, data)).encode()[:len('type:%s\n%s' % (kind, data))]
        until(lambda: os.path.exists(path('told.out')) and text in open(path('told.out'), 'rb').read())


def of_the_system():
    methods = system.listMethods()
    row('listMethods', lambda: methods == sorted(methods), True)
    theirs = [name for name in methods if not name.startswith('supervice.')]
    row('listMethods', lambda: len(theirs), 41)
    for name in theirs: print(name, system.methodSignature(name), system.methodHelp(name) != '')
    row('methodSignature', lambda: system.methodSignature('foo.bar'), 4)
    row('methodSignature', lambda: system.methodSignature('system.methodSignature'), ['array', 'string'])
    row('methodHelp', lambda: system.methodHelp('foo.bar'), 4)
    help = system.methodHelp('system.methodHelp')
    row('multicall_simplevals', lambda: system.multicall([{'methodName': 'system.methodHelp', 'params': ['system.methodHelp']},
        {'methodName': 'system.listMethods', 'params': []}]) == [help, methods], True)
    print('multicall_recursion_guard', system.multicall([{'methodName': 'system.multicall', 'params': []}]))
    print('multicall_nested_callback', type(system.multicall([{'methodName': 'supervisor.stopAllProcesses'}])[0]))


def of_the_end():
    s.startProcess('deaf')
    until(lambda: open(path('deaf.up')).read().count('\n') == 2)
    pid = s.getProcessInfo('deaf')['pid']
    row('shutdown', s.shutdown, True)
    row('_update', s.getState, 6)
    row('_update', lambda: s.startProcess('off'), 6)
    os.kill(pid, 9)


of_what_never_ran()
of_the_daemon()
of_groups()
of_starts()
of_several()
of_what_does_not_end()
of_runs()
of_logs()
of_input()
of_all_logs()
of_the_system()
of_the_end()
