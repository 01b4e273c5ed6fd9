import subprocess
import sys

AT_THE_WORST_MOMENT = """
import os, signal
from service.stop_signals import stop_on_signals

stop = stop_on_signals([signal.SIGUSR1])
with stop._cond:  # as `Event.wait` holds it for a moment
    os.kill(os.getpid(), signal.SIGUSR1)
stop.wait()
"""

WHILE_THE_MAIN_THREAD_RUNS_NO_PYTHON = """
import os, signal, threading
from service.stop_signals import stop_on_signals

stop = stop_on_signals([signal.SIGUSR1])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # another thread receives it
threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1)).start()
stop.wait()
"""

TWICE = """
import os, signal, time
from service.stop_signals import stop_on_signals

stop = stop_on_signals([signal.SIGUSR1], on_second=lambda number: os._exit(128 + number))
os.kill(os.getpid(), signal.SIGUSR1)
stop.wait()
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(30)
"""


def run(program):
    return subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode


def test_a_signal_inside_wait_does_not_lock_the_process_up():
    assert run(AT_THE_WORST_MOMENT) == 0


def test_a_signal_that_does_not_wake_the_main_thread_is_seen_all_the_same():
    assert run(WHILE_THE_MAIN_THREAD_RUNS_NO_PYTHON) == 0


def test_the_second_signal_is_handed_on():
    assert run(TWICE) == 128 + 10
