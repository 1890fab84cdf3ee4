# Listens on ports of both families until its standard input ends, and tells whoever connects who answered.
# answer.pl NAME PROTOCOL:PORT[:HOW]...   HOW: forward (to the original destination, from 127.0.0.6 or ::6),
# outward (the same, from any address), transparent (as TPROXY wants it, forwarding with the client's address).
use strict; use warnings; use Socket qw(:DEFAULT inet_pton inet_ntop pack_sockaddr_in6 unpack_sockaddr_in6 AF_INET6 IPPROTO_IPV6 IPV6_V6ONLY);
use constant { SO_ORIGINAL_DST => 80, IP_TRANSPARENT => 19, IPV6_TRANSPARENT => 75, SO_MARK => 36, MARK => 1337 };
$| = 1; $SIG{CHLD} = 'IGNORE';
my ($name, @specs) = @ARGV;
my (@listeners, %own);
sub place { my ($address) = @_;
  return () unless defined $address && length($address) >= 16;
  my $v6 = unpack('S', $address) == AF_INET6;
  my $exact = substr($address, 0, $v6 ? 28 : 16); # XS does not see through substr's magic
  my ($port, $host) = $v6 ? unpack_sockaddr_in6("$exact") : unpack_sockaddr_in("$exact");
  return (inet_ntop($v6 ? AF_INET6 : AF_INET, $host), $port) }
sub packed { my ($host, $port) = @_; return $host =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $host)) : pack_sockaddr_in($port, inet_pton(AF_INET, $host)) }
sub transparent { my ($s, $v6) = @_; setsockopt($s, $v6 ? 41 : 0, $v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1) or die "transparent: $!" }
for (@specs) {
  my ($protocol, $port, $how) = split /:/; $how //= ''; $own{$port} = 1;
  for my $v6 (0, 1) {
    socket(my $s, $v6 ? AF_INET6 : AF_INET, $protocol eq 'tcp' ? SOCK_STREAM : SOCK_DGRAM, 0) or die $!;
    setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1); setsockopt($s, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $v6;
    transparent($s, $v6) if $how eq 'transparent';
    # Datagrams have no connection: the answer must come from where NAT sent the question.
    my $host = $protocol eq 'tcp' ? ($v6 ? '::' : '0.0.0.0') : ($v6 ? '::1' : '127.0.0.1');
    $host = $v6 ? '::' : '0.0.0.0' if $how eq 'any';
    bind($s, packed($host, $port)) or die "$port: $!"; listen($s, 64) if $protocol eq 'tcp';
    push @listeners, [$s, $protocol, $port, $how, $v6];
  } }
print "ready\n";
sub onward { my ($how, $v6, $host, $port, $client) = @_;
  return 'loop' if $own{$port};
  socket(my $s, $v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0) or die $!;
  if ($how eq 'forward') { bind($s, packed($v6 ? '::6' : '127.0.0.6', 0)) or return "bind: $!" }
  if ($how eq 'transparent') { transparent($s, $v6); setsockopt($s, SOL_SOCKET, SO_MARK, MARK) or die $!; bind($s, packed($client, 0)) or return "bind: $!" }
  local $SIG{ALRM} = sub { die "timeout\n" }; alarm 3;
  my $answer = eval { connect($s, packed($host, $port)) or die "$!\n"; <$s> } // $@; alarm 0; chomp $answer; return $answer }
while (1) {
  my $bits = ''; vec($bits, fileno($_->[0]), 1) = 1 for @listeners; vec($bits, fileno(STDIN), 1) = 1;
  select($bits, undef, undef, undef) > 0 or next;
  exit 0 if vec($bits, fileno(STDIN), 1);
  for (@listeners) {
    my ($s, $protocol, $port, $how, $v6) = @$_; next unless vec($bits, fileno($s), 1);
    if ($protocol eq 'udp') { my $from = recv($s, my $question, 512, 0); send($s, "$name:$port", 0, $from) if defined $from; next }
    my $peer = accept(my $c, $s) or next;
    if (fork() == 0) {
      my ($client) = place($peer);
      # TPROXY leaves the destination as it was; what came by NAT is at the own port.
      my ($host, $to) = place(getsockname($c));
      if ($own{$to}) { my ($before, $port) = place(getsockopt($c, $v6 ? 41 : 0, SO_ORIGINAL_DST)); ($host, $to) = ($before, $port) if defined $before }
      my $line = $how eq '' ? "$name:$port from $client" : "$name:$port for $host $to, " . onward($how, $v6, $host, $to, $client);
      syswrite $c, "$line\n"; shutdown($c, 1); sysread $c, my $rest, 1; exit 0 }
    close $c } }
