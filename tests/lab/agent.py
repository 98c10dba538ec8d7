"""The agent inside a lab machine: reads one JSON request a line from a virtio-serial port, runs it in a thread, answers in one line.

Two ports: the harness has "lab", a person with `tests/lab/sh` has "shell". Standard library of Python 3.9 only.
"""

import base64
import json
import os
import signal
import subprocess
import tempfile
import threading
import time

BOOT = open("/proc/sys/kernel/random/boot_id").read().strip()
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "TERM": "dumb"}


def run(request):
    # Files, not pipes: a daemon that a command leaves behind may hold its output for ever.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(base64.b64decode(request.get("input", "")))
        given.seek(0)
        try:
            process = subprocess.Popen(
                request["argv"], stdin=given, stdout=out, stderr=err, start_new_session=True, cwd="/", env=dict(ENVIRONMENT, **request.get("env", {}))
            )
        except OSError as error:
            return {"rc": 127, "stdout": "", "stderr": base64.b64encode(f"{error}\n".encode()).decode()}
        try:
            rc = process.wait(request["timeout"])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            rc = "timeout"
        out.seek(0)
        err.seek(0)
        return {"rc": rc, "stdout": base64.b64encode(out.read()).decode(), "stderr": base64.b64encode(err.read()).decode()}


def put(request):
    path = request["path"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(base64.b64decode(request["data"]))
    os.chmod(path, request["mode"])
    return {}


def get(request):
    with open(request["path"], "rb") as file:
        return {"data": base64.b64encode(file.read()).decode()}


WHAT = {"run": run, "put": put, "get": get}


def serve(path):
    port = os.open(path, os.O_RDWR)
    turn = threading.Lock()

    def send(answer):
        data = json.dumps(answer).encode() + b"\n"
        with turn:
            while data:
                data = data[os.write(port, data) :]

    def handle(line):
        request = json.loads(line)
        try:
            answer = WHAT[request["what"]](request)
        except Exception as error:  # whatever it was, the one who asked has to know
            answer = {"error": f"{type(error).__name__}: {error}"}
        send(dict(answer, id=request["id"]))

    send({"hello": BOOT})
    rest = b""
    while True:
        data = os.read(port, 65536)
        if not data:  # nobody listens on the other side now
            time.sleep(0.2)
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            threading.Thread(target=handle, args=(line,), daemon=True).start()


def ports():
    base = "/sys/class/virtio-ports"
    for name in os.listdir(base):
        yield open(os.path.join(base, name, "name")).read().strip(), "/dev/" + name


threads = [threading.Thread(target=serve, args=(path,)) for _, path in ports()]
for thread in threads:
    thread.start()
