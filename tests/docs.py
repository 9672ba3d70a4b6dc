"""The manual in rtm.h as one HTML page, by Doxygen: python3 tests/docs.py OUT.html

rtm.h is written to be read as it is, without a tool's marks in it. Here its comments get them, each
as preformatted text, and what Doxygen makes of the header becomes one page with its style in it.
"""
import html
import pathlib
import re
import subprocess
import sys
import tempfile

SETTINGS = '''
PROJECT_NAME = rtm.h
INPUT = rtm.h
OUTPUT_DIRECTORY = .
GENERATE_LATEX = NO
QUIET = YES
WARN_AS_ERROR = YES
WARN_NO_PARAMDOC = NO
EXTRACT_ALL = YES
OPTIMIZE_OUTPUT_FOR_C = YES
TYPEDEF_HIDES_STRUCT = YES
INLINE_SIMPLE_STRUCTS = YES
MACRO_EXPANSION = YES
PREDEFINED = RTM_SENTINEL=
SORT_MEMBER_DOCS = NO
SEARCHENGINE = NO
DISABLE_INDEX = YES
VERBATIM_HEADERS = NO
HAVE_DOT = NO
HTML_TIMESTAMP = NO
'''


def marked(source):
    """The public part with marks that Doxygen understands."""
    public = source[:source.index('#endif /* RTM_H */')] + '#endif\n'
    manual, rest = public.split('*/', 1)
    title, manual = manual[3:].split('\n', 1)
    title = re.sub(r'\s+SPDX.*', '', title)
    results = re.findall(r'X\((RTM_\w+), (-?\d+), "(.*?)"\)', rest)
    states = re.search(r'define RTM_STATES\(X\)(.*)', rest)[1]
    rest = re.sub(r'/\*[^*]*\*/\n#define RTM_(RESULTS|STATES)(.*\\\n)*.*\n', '', rest)
    rest = enum(rest, 'rtm_result', [f'{n} = {i}, /* {text} */' for n, i, text in results])
    rest = enum(rest, 'rtm_state', [f'RTM_STATE_{n},' for n in re.findall(r'X\((\w+)\)', states)])
    rest = re.sub(r'/\* (\w[^\n]*?) -{5,} \*/', '', rest)      # what parts the sections
    rest = re.sub(r'/\* -{20,}.*?\*/', '', rest, flags=re.S)
    rest = re.sub(r'(#include[^\n]*?)/\*.*?\*/', r'\1', rest)
    rest = re.sub(r'(?m)^(\s+\S.*?[;,{)\w]\s*)/\*(.*?)\*/',   # behind a field
                  lambda m: m[1] + '/**<' + plain(m[2]) + '*/', rest, flags=re.S)
    rest = re.sub(r'(?m)^/\*(?!\*)(.*?)\*/',
                  lambda m: '/** @verbatim\n' + indented(m[1]) + '\n@endverbatim */', rest, flags=re.S)
    return f'/** @file\n{title}\n@verbatim\n{manual}\n@endverbatim */{rest}'


def enum(text, name, rows):
    """What the rows of a macro make of an enum."""
    body = '\n'.join('    ' + row for row in rows)
    return re.sub(rf'typedef enum {name} \{{.*?\}} {name};',
                  lambda m: f'typedef enum {name} {{\n{body}\n}} {name};', text, flags=re.S)


def indented(text):
    return re.sub(r'(?m)^ {3}', '', text.strip())


def plain(text):
    """Text that has no meaning of its own to Doxygen."""
    text = re.sub(r'\s+', ' ', text)
    return re.sub(r'([\\@#%<>&"$])', r'\\\1', text).replace('::', '\\::')


def page(out):
    source = pathlib.Path('rtm.h').read_text(encoding='utf-8')
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        (place / 'rtm.h').write_text(marked(source), encoding='utf-8')
        done = subprocess.run(['doxygen', '-'], input=SETTINGS, cwd=place, text=True,
                              capture_output=True, check=False)
        if done.returncode or done.stderr.strip():
            sys.exit(done.stderr or 'doxygen failed')
        text = (place / 'html/rtm_8h.html').read_text(encoding='utf-8')
        for struct in sorted(place.glob('html/structrtm__*.html')): # those with callbacks
            part = struct.read_text(encoding='utf-8')
            part = part[part.index('<div class="header">'):part.index('</div><!-- contents -->')]
            part = re.sub(r'Struct Reference', '', part)
            text = text.replace('</div><!-- contents -->',
                                f'<a id="{struct.stem}"></a>{part}</div></div><!-- contents -->')
            text = text.replace(f'href="{struct.name}"', f'href="#{struct.stem}"')
            text = text.replace(f'href="{struct.name}#', 'href="#')
        style = (place / 'html/doxygen.css').read_text(encoding='utf-8')
    text = re.sub(r'<script.*?</script>\n?', '', text, flags=re.S)
    text = re.sub(r'<link[^>]*>\n?', '', text)
    text = re.sub(r'href="rtm_8h\.html#', 'href="#', text)
    text = re.sub(r'<a class="el" href="(?!#)[^"]*">(.*?)</a>', r'\1', text)
    text = text.replace('</head>', f'<style>{style}</style></head>')
    for function in ('rtm_create', 'rtm_poll', 'rtm_submit', 'rtm_reply', 'rtm_json_get'):
        if html.escape(function) not in text:
            sys.exit(f'{function} is not on the page')
    pathlib.Path(out).write_text(text, encoding='utf-8')
    print(f'{out}: {len(text)} bytes')


page(sys.argv[1])
