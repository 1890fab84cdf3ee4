# ask.pl PROTOCOL ADDRESS PORT [SOURCE [SOURCE-PORT]]: prints the answer's first line, or why there is none.
use strict; use warnings; use Errno; use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
my ($protocol, $to, $toPort, $source, $sourcePort) = @ARGV;
sub packed { my ($host, $port) = @_;
  return $host =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $host)) : pack_sockaddr_in($port, inet_pton(AF_INET, $host)) }
socket(my $s, ($to =~ /:/) ? AF_INET6 : AF_INET, $protocol eq 'tcp' ? SOCK_STREAM : SOCK_DGRAM, 0) or die $!;
setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
bind($s, packed($source, $sourcePort // 0)) or die "bind: $!" if defined $source;
$SIG{ALRM} = sub { print "nothing\n"; exit 0 }; alarm 3;
my $answer;
if (connect($s, packed($to, $toPort))) {
  send($s, 'question', 0) if $protocol eq 'udp';
  if ($protocol eq 'udp') { recv($s, $answer, 512, 0); $answer = undef if !defined $answer || $answer eq '' } else { $answer = <$s> } }
if (defined $answer) { chomp $answer; print "$answer\n" }
else { print $!{ECONNREFUSED} ? "refused\n" : $!{EHOSTUNREACH} ? "unreachable\n" : $!{ECONNRESET} ? "reset\n" : "nothing ($!)\n" }
