/**
 * Answers any HTTP request with one line: the pod, its node, and who asked. In Perl because every Debian has it (perl-base
 * is essential) and it starts in milliseconds.
 */
const program = `use IO::Socket::INET; $| = 1; $SIG{TERM} = sub { exit 0 }; $SIG{PIPE} = 'IGNORE';
my $listener = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 64, ReuseAddr => 1) or die "port $ARGV[0]: $@";
while (1) {
  my $peer = $listener->accept or next;
  while (my $line = <$peer>) { last if $line =~ /^\\r?\\n$/ }
  my $asker = $peer->peerhost // 'nobody';
  my $body = "$ENV{POD_NAME} on $ENV{NODE_NAME}, asked by $asker\\n";
  print $peer "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $peer;
}`

/** What a container runs; it needs the variables POD_NAME and NODE_NAME. */
export function webServerCommand(port: number): readonly string[] {
  return ['perl', '-e', program, String(port)]
}

/** What the server said of itself and of whom it saw. */
export interface WebAnswer {
  readonly pod: string
  readonly node: string
  readonly askedBy: string
}

/** The body of an answer; undefined when somebody else has spoken. */
export function parseWebAnswer(body: string): WebAnswer | undefined {
  const [, pod, node, askedBy] = /^(\S+) on (\S+), asked by (\S+)\n$/.exec(body) ?? []
  return pod === undefined || node === undefined || askedBy === undefined ? undefined : { pod, node, askedBy }
}
