"""What real Caffe makes of nets and solvers; each is built in a process of its own, as it may end it."""

_IN_A_PROCESS = """
import json, os, sys, tempfile
import caffe
caffe.set_mode_cpu()
os.chdir(sys.argv[1])

def last_words(function, path):
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            os.dup2(log.fileno(), 2)
            try:
                function(path)
            except BaseException as error:
                os.write(2, ("F " + repr(error)).encode())
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        log.seek(0)
        lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if line.startswith("F")]
    return lines[0] if lines else "signal %d" % status if status else ""

def all_last_words(function, ending):
    paths = sorted(path for path in os.listdir(".") if path.endswith(ending))
    print(json.dumps({path[: -len(ending)]: last_words(function, path) for path in paths}))
"""

# In TRAIN a forward and backward pass, so that images are read.
BUILD_NETS = (
    _IN_A_PROCESS
    + """
def build(path):
    net = caffe.Net(path, caffe.TRAIN)
    net.forward()
    net.backward()

all_last_words(build, ".prototxt")
"""
)

# Two iterations, and the end of training.
RUN_SOLVERS = (
    _IN_A_PROCESS
    + """
def run(path):
    caffe.get_solver(path).solve()

all_last_words(run, ".solver")
"""
)
