"""A callback of Ansible's that keeps what a run has come to, as JSON: which task was changed on which router, and the sums of each.

ansible-core has none that writes JSON; that of ansible.posix is in the package `ansible`, which has 400 MB.
"""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recap
type: notification
short_description: keeps what a run has come to
description: In the file that the variable RECAP of the environment names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recap"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.changed = []

    def v2_runner_on_ok(self, result):
        if result.is_changed():
            self.changed.append([result._host.get_name(), result._task.get_name().split(" : ")[-1]])

    def v2_playbook_on_stats(self, stats):
        sums = {host: stats.summarize(host) for host in stats.processed}
        with open(os.environ["RECAP"], "w") as file:
            json.dump({"hosts": sums, "changed": self.changed}, file)
