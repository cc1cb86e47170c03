"""Compiles c4build/rules/language.c while a wheel is built. Without a compiler the wheel goes without: langdetect-rs
answers instead, the same but slower.
"""

import os
import shlex
import shutil
import subprocess
import sysconfig

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "c4build/rules/language.c"
LIBRARY = "c4build/rules/_language.so"


class CompileLanguage(BuildHookInterface):
    def initialize(self, version, build_data):
        library = os.path.join(self.root, LIBRARY)
        pythons_own = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
        compiler = shutil.which(pythons_own) or "cc"
        # Contracted to one instruction, a product and a sum would be rounded once where Python rounds twice; sine and
        # cosine are to be the C library's own, as Python's are, not one function for both.
        options = ["-O3", "-ffp-contract=off", "-fno-builtin-sin", "-fno-builtin-cos", "-fPIC", "-shared"]
        try:
            if os.path.exists(library):
                os.remove(library)
            subprocess.run([compiler, *options, os.path.join(self.root, SOURCE), "-o", library, "-lm"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"{SOURCE} is not compiled, langdetect-rs will be used instead: {error}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data.update(pure_python=False, tag=f"py3-none-{platform}")
        build_data["artifacts"].append(LIBRARY)
