"""The package as a whole: what several of its files say about the same thing must agree."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import mapt_ros
from mapt_ros.tracking.config import load_config
from mapt_ros.tracking.frame import Association, TrackState

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(mapt_ros.__file__).parent.parent
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
# The contract with users: a parameter that is renamed breaks their files without a word.
PARAMETERS = {
    "weights",
    "config",
    "device",
    "cpu_fallback",
    "cameras",
    "image_transport",
    "drop_policy",
    "queue_depth",
    "score_threshold",
    "association",
    "max_age",
    "publish_lost",
    "max_gap_s",
    "back_jump_s",
    "camera_height",
    "camera_pitch",
    "overlay",
    "overlay_scale",
    "input_timeout_s",
    "warn_rate_hz",
    "error_rate_hz",
    "warn_latency_ms",
    "error_latency_ms",
    "autostart",
}


@pytest.fixture(scope="module")
def parameter_file() -> tuple[dict, dict]:
    """config/mapt.yaml: what it sets, and what stands in it behind a # as the value that holds anyway."""
    text = (ROOT / "config/mapt.yaml").read_text()
    mentioned = "\n".join(re.findall(r"^\s+# (\w+: \S+)$", text, re.MULTILINE))
    return yaml.safe_load(text)["/**"]["ros__parameters"], yaml.safe_load(mentioned)


def declared_messages() -> dict[str, list[tuple[str, str]]]:
    """Of every message, its fields as (type, name)."""
    return {
        path.name: re.findall(r"^([\w/\[\]]+)\s+(\w+)\s*(?:#.*)?$", path.read_text(), re.MULTILINE)
        for path in (ROOT / "msg").glob("*.msg")
    }


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    assert manifest.findtext("version") == project["version"] == mapt_ros.__version__
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text()


def test_cmake_builds_every_message():
    listed = re.findall(r"^\s*msg/(\w+\.msg)$", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(declared_messages())


def test_manifest_declares_what_messages_use():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {element.text for element in manifest.findall("depend")}
    used = {kind.split("/")[0] for fields in declared_messages().values() for kind, _ in fields if "/" in kind}
    assert used and used == declared


def test_manifest_declares_every_ros_package_that_is_imported():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {element.text for tag in ("depend", "exec_depend") for element in manifest.findall(tag)}
    sources = [*(ROOT / "mapt_ros/ros").rglob("*.py"), *LAUNCH_FILES]
    modules = {module.split(".")[0] for source in sources for module in imported_modules(source)}
    ros = {m for m in modules if m in {"rclpy", "cv_bridge", "launch", "launch_ros"} or m.endswith(("_msgs", "_srvs"))}
    ros |= {m for m in modules if m.endswith("_interfaces")}
    # rclpy brings its own interface packages.
    assert "rclpy" in ros and ros - {"rcl_interfaces"} <= declared


def imported_modules(source: Path) -> set[str]:
    """Absolute imports of a Python file, those inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(), str(source))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_only_the_ros_room_imports_ros():
    offenders = [
        source.relative_to(ROOT)
        for source in (ROOT / "mapt_ros").rglob("*.py")
        if source.parent != ROOT / "mapt_ros/ros"
        for module in imported_modules(source)
        if module.split(".")[0] in {"rclpy", "cv_bridge"} or module.startswith("mapt_ros.msg")
    ]
    assert not offenders


def test_package_imports_without_torch_and_ros():
    code = "import sys, mapt_ros, mapt_ros.cli; print(*{'torch', 'rclpy', 'cv2'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize(
    ("command", "missing"),
    [("node", "rclpy"), ("node", "mapt_ros.msg"), ("demo", "rclpy"), ("demo", "cv_bridge"), ("demo", "sensor_msgs")],
)
def test_commands_without_ros_are_one_line(command, missing):
    pytest.importorskip("rclpy", reason="something else of ROS is missing then")
    code = f"import sys; sys.modules[{missing!r}] = None; from mapt_ros.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, command], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and "no ROS 2 here" in result.stderr


def test_message_constants_are_the_numbers_of_the_tracker():
    messages = pytest.importorskip("mapt_ros.msg", reason="the messages are not built: make setup")
    for member in (*TrackState, *Association):
        assert getattr(messages.TrackedInstance, member.name) == member.value


def test_parameter_file_has_the_parameters_of_the_contract(parameter_file):
    values, mentioned = parameter_file
    assert not set(values) & set(mentioned)
    assert set(values) | set(mentioned) == PARAMETERS


def test_parameter_file_leaves_tracker_settings_to_the_weights_and_names_those_of_compact(parameter_file):
    _, mentioned = parameter_file
    settings = load_config("compact").tracker
    assert mentioned == {name: getattr(settings, name) for name in mentioned}


def test_parameter_file_says_what_the_node_does_without_it(monkeypatch):
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")
    from mapt_ros.ros.domain import claim_domain
    from mapt_ros.ros.parameters import declare_parameters

    monkeypatch.setenv("ROS_DOMAIN_ID", str(claim_domain()))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

    def declared(*arguments: str) -> dict:
        context = rclpy.Context()
        rclpy.init(context=context, args=["--ros-args", *arguments])
        node = rclpy.create_node("mapt", namespace="car", context=context, start_parameter_services=False)
        try:
            declare_parameters(node)
            return {name: node.get_parameter_or(name).value for name in PARAMETERS}
        finally:
            node.destroy_node()
            rclpy.shutdown(context=context)

    assert declared("--params-file", str(ROOT / "config/mapt.yaml")) == declared()


def test_rviz_shows_the_topics_of_the_node():
    displays = yaml.safe_load((ROOT / "config/mapt.rviz").read_text())["Visualization Manager"]["Displays"]
    topics = {d["Class"]: (d["Topic"]["Value"], d["Topic"]["Reliability Policy"]) for d in displays if "Topic" in d}
    # Best effort goes with a publisher of either kind.
    assert topics == {
        "rviz_default_plugins/Image": ("/mapt/overlay", "Best Effort"),
        "rviz_default_plugins/MarkerArray": ("/mapt/markers", "Reliable"),
    }


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_file_defines_a_description(path):
    tree = ast.parse(path.read_text(), str(path))
    assert "generate_launch_description" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_launch_files_name_existing_files_and_programs():
    text = "\n".join(path.read_text() for path in LAUNCH_FILES)
    files = set(re.findall(r"[\w.]+\.(?:yaml|rviz|launch\.py)\b", text))
    assert {"mapt.yaml", "mapt.rviz", "mapt.launch.py"} <= files
    shipped = {path.name for folder in ("config", "launch") for path in (ROOT / folder).iterdir()}
    assert files <= shipped
    assert 'executable="mapt_node"' in text and "scripts/mapt_node" in (ROOT / "CMakeLists.txt").read_text()
