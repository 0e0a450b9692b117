"""Draw assets/architecture.svg from the floors that tests/test_structure.py enforces.

python -m scripts.draw_architecture
"""

from __future__ import annotations

from tests.test_structure import FLOORS, ROOT

FILE = ROOT / "assets" / "architecture.svg"
# each room with a few words about it, and its share of its floor's width
ROOMS = {
    "__main__": ("python -m personaplex_app", 1),
    "notebook": ("helpers of the notebooks", 1),
    "cli": ("the commands: serve, offline, doctor, bench, evaluate, space", 1),
    "launch": ("from settings to a running app, and its clean end", 1),
    "ui": ("Gradio Blocks, one file a tab", 1),
    "server/routes": ("chat, gateway, sessions, clones, compare, metrics", 1.4),
    "ui/static": ("the page's modules and worklets", 1.2),
    "server": ("a talk on the event loop; queues, login, limits", 1.7),
    "engine_bench": ("how fast an engine is", 0.9),
    "engine_choice": ("which engine, and why", 1),
    "evaluation": ("scenarios, conversations, report", 1.3),
    "classic": ("the cascade: turns, barge-in", 1),
    "evaluation/fdb": ("Full-Duplex-Bench's metrics", 1),
    "evaluation/blind_test": ("rounds, votes, ranking", 1),
    "cloning": ("voices of recordings", 1),
    "rendering": ("a recording in, the answer out", 1.2),
    "responder": ("what to say: rules, language model", 1.3),
    "sessions": ("a talk's worker side, recorder, store, admission", 1.4),
    "speech": ("voice activity, recognition, synthesis", 1.2),
    "engine": ("the contract; echo, remote, personaplex", 1.2),
    "gateway": ("the ORBIT gateway's messages and adapters", 1.2),
    "model": ("PyTorch: language model, depformer, Mimi", 1.6),
    "codec": ("PCM, Opus, float", 0.8),
    "personas": ("roles", 0.7),
}
WIDTH, BAND, GAP, LEFT = 1200, 66, 8, 24
# the rooms through which a frame of sound goes
WALK = ("ui/static", "server", "sessions", "engine", "model", "codec", "protocol", "audio")
STYLE = """text{font:600 15px system-ui,sans-serif;fill:#1b2026}
.s{font:400 12.5px system-ui,sans-serif;fill:#495059}
.n{font:600 12px system-ui,sans-serif;fill:#626a72}.t{font:600 18px system-ui,sans-serif}
.bg{fill:#f6f3ec}.band{fill:#ece7db}
.box{fill:#fdfcf9;stroke:#868176}.user{fill:#0a7a83}.agent{fill:#c2481f}
@media(prefers-color-scheme:dark){text{fill:#efebe3}.s{fill:#bdc2c7}.n{fill:#979ea6}
.bg{fill:#131619}.band{fill:#20252a}.box{fill:#1a1e22;stroke:#737b84}.user{fill:#45b8c0}.agent{fill:#ee7f53}}"""


def draw() -> str:
    """Return the picture as SVG."""
    height = 62 + len(FLOORS) * (BAND + GAP) + 12
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="The rooms of personaplex-app by floor; an import points to a floor below">',
        f"<style>{STYLE}</style>",
        f'<rect class="bg" width="{WIDTH}" height="{height}" rx="12"/>',
        f'<text class="t" x="{LEFT}" y="38">An import points to a floor below</text>',
        f'<rect class="user" x="{WIDTH - 320}" y="20" width="4" height="24"/>',
        f'<rect class="agent" x="{WIDTH - 314}" y="20" width="4" height="24"/>',
        f'<text class="s" x="{WIDTH - 300}" y="37">a frame of sound passes, down and back up</text>',
    ]
    for number, floor in reversed(list(enumerate(FLOORS, 1))):
        y = 62 + (len(FLOORS) - number) * (BAND + GAP)
        band = f'x="{LEFT - 8}" y="{y}" width="{WIDTH - 2 * LEFT + 16}" height="{BAND}"'
        out.append(f'<rect class="band" {band} rx="8"/>')
        out.append(f'<text class="n" x="{LEFT + 4}" y="{y + BAND / 2 + 4:g}">{number}</text>')
        out += _floor([room for room in ROOMS if room in floor] + sorted(floor - set(ROOMS)), y)
    return "\n".join([*out, "</svg>", ""])


def _floor(rooms: list[str], y: int) -> list[str]:
    left, tall = LEFT + 34.0, BAND - 16
    room_px = WIDTH - 2 * LEFT - 34 - GAP * (len(rooms) - 1)
    shares = [ROOMS.get(room, ("", 1))[1] for room in rooms]
    out = []
    for room, share in zip(rooms, shares, strict=True):
        wide = room_px * share / sum(shares)
        about = ROOMS.get(room, ("",))[0]
        out.append(
            f'<rect class="box" x="{left:.1f}" y="{y + 8}" width="{wide:.1f}" height="{tall}" rx="6"/>'
        )
        x = left + 12
        if room in WALK:
            for colour, at in (("user", left), ("agent", left + 6)):
                out.append(f'<rect class="{colour}" x="{at:.1f}" y="{y + 8}" width="4" height="{tall}"/>')
            x += 10
        out.append(f'<text x="{x:.1f}" y="{y + (29 if about else 38)}">{room}</text>')
        if about:
            out.append(f'<text class="s" x="{x:.1f}" y="{y + 47}">{about}</text>')
        left += wide + GAP
    return out


if __name__ == "__main__":
    FILE.write_text(draw())
